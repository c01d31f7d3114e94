"""Kills `orn detect` at random moments and checks that it completes to the same shards.

    python -m orn.benchmarks.kill_detect --trials 20 --out FILE

Each trial starts the command on a generated film that makes many units, kills it with SIGKILL (its
whole process group, or in every second trial only the process that was started) at a moment drawn
uniformly from the time in which a whole run detects, or at another one if it had ended by then, and
runs it again to its end. The shards must then equal those of a run that was never killed, byte for
byte; those that were there at the kill must not have been touched; no other file may be left.
"""

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from orn.benchmarks.killing import (
    GONE_SECONDS,
    killed_after,
    orn,
    seconds_of,
    started,
    temporaries_left,
    tool,
    until_killed,
)
from orn.demo.world.dials import Dials
from orn.demo.world.make import SIZES, write_dataset

_OF_A_JOB = ("plan.json", "detect.json")


def is_good(trial: Mapping[str, Any]) -> bool:
    """Whether all is as it should be: nothing done is repeated, nothing is left, same bytes."""
    skipped = trial["units_done"] == trial["units_skipped"]
    is_whole = trial["same_bytes"] and trial["shards_kept"] and skipped
    return bool(is_whole and not trial["files_left"])


def kill_trials(
    detect: Sequence[str], folder: Path, *, trials: int, seed: int
) -> list[dict[str, Any]]:
    """The trials: with one process and with two in turns, all killed and the parent only in turns.

    Args:
        detect: the command, without `--out` and `--workers`.
        folder: where each trial gets a folder of its own.
        trials: number of trials.
        seed: of the moments.
    """
    generator = np.random.default_rng(seed)
    lengths: dict[int, float] = {}
    expected: dict[str, bytes] = {}
    found = []
    for number in range(trials):
        workers, killed = 1 + number // 2 % 2, ("group", "parent")[number % 2]
        command = [*detect, "--workers", str(workers)]
        if workers not in lengths:
            whole = folder / f"whole-{workers}"
            lengths[workers] = seconds_of([*command, "--out", str(whole)], whole / "plan.json")
            expected = expected or shard_bytes(whole)
            if shard_bytes(whole) != expected:
                raise RuntimeError(f"{whole}: {workers} workers give other shards than one")
        trial = partial(_trial, command, expected, killed=killed, workers=workers)
        moment = partial(generator.uniform, 0, lengths[workers])
        found.append(until_killed(trial, folder / f"trial-{number:02d}", moment))
    return found


def shard_bytes(folder: Path) -> dict[str, bytes]:
    """The content of every shard of a folder by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*.zarr.zip"))}


def _trial(
    command: Sequence[str],
    expected: dict[str, bytes],
    folder: Path,
    delay: float,
    *,
    killed: str,
    workers: int,
) -> dict[str, Any] | None:
    """One trial; None if the job had ended when it was to be killed."""
    command = [*command, "--out", str(folder), "--json"]
    process = started(command, folder / "plan.json")
    was_running = killed_after(process, delay, whole_group=killed == "group")
    _wait_for_group(process.pid)
    if not was_running:
        return None
    temporaries = temporaries_left(folder)
    kept = _states(folder)
    again = subprocess.run(command, capture_output=True, check=False)
    if again.returncode != 0:
        raise RuntimeError(f"{folder}: failed after a kill: {again.stderr.decode()[-2000:]}")
    summary, after = json.loads(again.stdout), _states(folder)
    files = {path.name for path in folder.iterdir()} - {*_OF_A_JOB, *expected}
    return {
        "workers": workers,
        "killed": killed,  # the whole group, or only the parent, the process that was started
        "killed_after_seconds": round(delay, 3),  # counted from when it had written its plan
        "temporaries_left": temporaries,  # half-written files that the kill left
        "units": summary["units"],
        "units_done": len(kept),  # whose shard was there after the kill
        "units_skipped": summary["skipped_units"],  # that the second start left alone
        "shards_kept": all(after.get(name) == state for name, state in kept.items()),  # untouched
        "files_left": len(files),  # at the end, which belong to no finished job
        "same_bytes": shard_bytes(folder) == expected,
    }


def _states(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes when a shard is written again: its number on the disk, and its time."""
    states = ((path.name, path.stat()) for path in folder.glob("shard-*.zarr.zip"))
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in states}


def _wait_for_group(group: int) -> None:
    """Waits until no process of the group is left; children of a killed parent end by themselves.

    Raises:
        RuntimeError: if they do not.
    """
    deadline = time.monotonic() + GONE_SECONDS
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.005)
    raise RuntimeError(f"processes of a killed job are alive after {GONE_SECONDS:g} s")


@click.command()
@click.option(
    "--unit-frames", type=click.IntRange(1), default=8, show_default=True, help="Size of a unit."
)
@tool("kill_detect", good="good")
def main(folder: Path, *, trials: int, seed: int, unit_frames: int) -> dict[str, Any]:
    """Kill `orn detect` TRIALS times at random moments and check what it completes to."""
    data = folder / "data"
    write_dataset(
        "demo-long", data, films=SIZES["short"]["demo-long"], dials=Dials(), seed=0, workers=1
    )
    detect = orn("detect", "demo-long", "--data", data, "--limit", 1, "--device", "cpu")
    detect += ["--unit-frames", str(unit_frames)]
    found = kill_trials(detect, folder / "trials", trials=trials, seed=seed)
    return {
        "left_temporaries": sum(trial["temporaries_left"] > 0 for trial in found),
        "good": sum(map(is_good, found)),
        "each": found,
    }


if __name__ == "__main__":
    main()
