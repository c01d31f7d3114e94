"""`orn bench gpu`: all measurements on a GPU, in order of importance.

Since a GPU may be available for minutes only, each measurement is a separate command with its own
record. A failure is recorded and does not stop the others. Existing records are not repeated.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from orn.benchmarks.measuring import write_record
from orn.shared.devices import choose_device
from orn.shared.jobs.outputs import check_output_folder


def jobs(device: str, *, tiny: bool) -> dict[str, tuple[str, ...]]:
    """Return the command-line arguments of each measurement, by the name of its record."""
    ways = ("fp32", "bf16") if device.startswith("cuda") else ("fp32",)
    detect = ("detect", "--long", "0", "--device", device)
    words_of: dict[str, tuple[str, ...]] = {
        f"detect-{way}-8": (*detect, "--precision", way, "--batch-size", "8") for way in ways
    }
    train = ("train_step", "--device", device, "--clips", "32")
    words_of |= {
        f"train-{backbone}": (*train, "--backbone", backbone)
        for backbone in ("resnet50", "resnet18")
    }
    words_of["loader"] = ("loader",)
    for batch in ("16", "4", "1"):
        words_of |= {
            f"detect-{way}-{batch}": (*detect, "--precision", way, "--batch-size", batch)
            for way in ways
        }
    small = ("--tiny",) if tiny else ()
    commands = {
        name: ("-m", f"orn.benchmarks.{script}", *words, *small)
        for name, (script, *words) in words_of.items()
    }
    return {**commands, "resume": ("-m", "orn.benchmarks.resume", "--device", device)}


def measure_all(out: Path, *, minutes: float, device: str, tiny: bool) -> list[dict[str, str]]:
    """Run each measurement without a record in the folder.

    Args:
        out: folder of the records.
        minutes: time limit of all measurements.
        device: as for `choose_device`.
        tiny: whether to use tiny sizes, for a test run.

    Returns:
        `name` and `state` of each: `done`, `no time` or the error.
    """
    check_output_folder(out, marker=None, pattern="*.json")
    deadline = time.monotonic() + 60 * minutes
    chosen = jobs(choose_device(device), tiny=tiny)
    out.mkdir(parents=True, exist_ok=True)
    return [
        {"name": name, "state": _state(out.absolute() / f"{name}.json", words, deadline)}
        for name, words in chosen.items()
    ]


_FOR_EXACTNESS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""Required for deterministic results on a GPU."""


def _state(record: Path, words: Sequence[str], deadline: float) -> str:
    """Run a measurement without a record, up to a time; its workers are terminated with it."""
    if record.exists():
        return "done"
    if time.monotonic() >= deadline:
        return "no time"
    failure = record.with_suffix(".failed.json")
    command = [sys.executable, "-P", *words, "--out", str(record)]
    reason = output = ""
    try:
        process = subprocess.run(
            command,
            env={**os.environ, **_FOR_EXACTNESS},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=deadline - time.monotonic(),
            check=False,
        )
        if process.returncode:
            output = process.stderr
            lines = output.strip().splitlines()
            reason = lines[-1] if lines else f"failed with exit code {process.returncode}"
    except subprocess.TimeoutExpired:
        reason = "ran out of time"
    failure.unlink(missing_ok=True)
    if reason:
        write_record({"reason": reason, "command": command, "output": output[-10_000:]}, failure)
        return f"failed: {reason}"
    return "done"
