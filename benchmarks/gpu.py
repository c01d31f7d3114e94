"""`orn bench gpu`: everything that there is to know of a card, in the order of worth, in one visit.

A machine with a card may be at hand for minutes. So each measurement is a command of its own, whose
record appears when it is done; one that fails leaves its reason and the next one goes on; a record
that is there is not measured again.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from orn.benchmarks.measuring import write_record
from orn.benchmarks.requests import GpuRequest
from orn.shared.devices import choose_device
from orn.shared.errors import ConfigError
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.report import Report, Table

_CARD_WAYS = ("tf32", "fp16", "bf16", "tf32-fast", "fp16-heads-fast", "bf16-heads-fast")
"""Precisions of `--precision`, and whether `--fast` is given, beside fp32."""


def jobs(device: str, *, tiny: bool) -> dict[str, tuple[str, ...]]:
    """Return the arguments of Python for each measurement, by the name of its record."""
    ways = ("fp32", "fp32-fast", *(_CARD_WAYS if device.startswith("cuda") else ()))
    detect = ("detect", "--long", "0", "--device", device)
    found = {f"detect-{way}-8": (*detect, *_way(way), "--batch", "8") for way in ways}
    train = ("train-step", "--device", device, "--clips", "32")
    found |= {
        f"train-{backbone}": (*train, "--backbone", backbone)
        for backbone in ("resnet50", "resnet18")
    }
    found["loader"] = ("loader",)
    found["detect-two-processes"] = (*detect, *_way(ways[-1]), "--batch", "8", "--workers", "2")
    for batch in ("16", "4", "1"):
        found |= {f"detect-{way}-{batch}": (*detect, *_way(way), "--batch", batch) for way in ways}
    small = ("--tiny",) if tiny else ()
    commands = {name: ("-m", "orn", "bench", *words, *small) for name, words in found.items()}
    return {**commands, "resume": ("-m", "orn.benchmarks.resume", "--device", device)}


def _way(way: str) -> tuple[str, ...]:
    short = way.removesuffix("-fast")
    return ("--precision", short, *(("--fast",) if short != way else ()))


def measure_all(request: GpuRequest) -> list[dict[str, str]]:
    """Run in turn each measurement that has no record in the folder yet.

    Returns:
        For each its `name` and `state`: `done`, `no time` or why it failed.
    """
    check_output_folder(request.out, ours=["*.json"])
    deadline = time.monotonic() + 60 * request.minutes
    chosen = {
        name: words
        for name, words in jobs(choose_device(request.device), tiny=request.tiny).items()
        if name.startswith(request.only or "")
    }
    if not chosen:
        raise ConfigError(
            f"--only {' '.join(request.only)}: expected the beginning of a measurement's name, got "
            "none; leave it out"
        )
    request.out.mkdir(parents=True, exist_ok=True)
    out = request.out.absolute()
    return [
        {"name": name, "state": _state(out / f"{name}.json", words, deadline)}
        for name, words in chosen.items()
    ]


def report(found: Sequence[Mapping[str, str]]) -> Report:
    """Return what became of each measurement, for a person."""
    rows = [(each["name"], each["state"]) for each in found]
    return Report(tables=[Table(header=("measurement", "state"), rows=rows)])


def _state(record: Path, words: Sequence[str], deadline: float) -> str:
    if record.exists():
        return "done"
    if time.monotonic() >= deadline:
        return "no time"
    failure = record.with_suffix(".failed.json")
    command = [sys.executable, "-P", *words, "--out", str(record)]
    reason, said = run(command, {**os.environ, **_FOR_EXACTNESS}, deadline - time.monotonic())
    failure.unlink(missing_ok=True)
    if reason:
        write_record({"reason": reason, "command": command, "said": said[-10_000:]}, failure)
        return f"failed: {reason}"
    return "done"


_FOR_EXACTNESS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""Without it torch cannot compute the same twice on a card."""


def run(command: Sequence[str], environment: Mapping[str, str], seconds: float) -> tuple[str, str]:
    """Run a command, and end it when the time is over; its workers end with it.

    Returns:
        Why it failed, empty if it did not; and what it said on stderr.
    """
    try:
        process = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "the time was over before it was done", ""
    said = process.stderr
    if process.returncode == 0:
        return "", said
    lines = said.strip().splitlines() or [f"ended with {process.returncode}"]
    return lines[-1], said
