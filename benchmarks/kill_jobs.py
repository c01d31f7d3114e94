"""Kills a job of units at random moments and checks that it completes to the same files.

    python -m orn.benchmarks.kill_jobs --command detect --trials 20 --out FILE

Each trial starts the command on generated videos that make many units, kills it with SIGKILL (its
whole process group, or in every second trial only the process that was started) at a moment drawn
uniformly from the time in which a whole run works, or at another one if it had ended by then, and
runs it again to its end. The files of units must then equal those of a run that was never killed,
byte for byte; those that were there at the kill must not have been touched; no other file may be
left.
"""

import os
import pickle
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
from orn.benchmarks.made_inputs import manifest_text, write_video
from orn.demo.world.dials import Dials
from orn.demo.world.make import SIZES, write_dataset
from orn.shared.jobs.plan import PLAN_NAME
from orn.shared.masks.rle import encode

_IMPORTED = {"videos": 12, "frames": 700, "detections": 8}
"""Masks that are imported: some 2,000 frames a unit."""


def is_good(trial: Mapping[str, Any]) -> bool:
    """Whether all is as it should be: nothing done is repeated, nothing is left, same bytes."""
    return bool(trial["same_bytes"] and trial["files_kept"] and not trial["files_left"])


def kill_trials(
    command: Sequence[str], folder: Path, *, trials: int, seed: int
) -> list[dict[str, Any]]:
    """The trials: with one process and with two in turns, all killed and the parent only in turns.

    Args:
        command: without `--out` and `--workers`.
        folder: where each trial gets a folder of its own.
        trials: number of trials.
        seed: of the moments.
    """
    generator = np.random.default_rng(seed)
    lengths: dict[int, float] = {}
    whole = folder / "whole-1"
    found = []
    for number in range(trials):
        workers, killed = 1 + number // 2 % 2, ("group", "parent")[number % 2]
        words = [*command, "--workers", str(workers)]
        if workers not in lengths:
            out = folder / f"whole-{workers}"
            lengths[workers] = seconds_of([*words, "--out", str(out)], out / PLAN_NAME)
            if unit_files(out) != unit_files(whole):
                raise RuntimeError(f"{out}: {workers} workers give other files than one")
        trial = partial(_trial, words, whole, killed=killed, workers=workers)
        moment = partial(generator.uniform, 0, lengths[workers])
        found.append(until_killed(trial, folder / f"trial-{number:02d}", moment))
    return found


def unit_files(folder: Path) -> dict[str, bytes]:
    """The content of every file of a unit by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("[!.]*-[0-9]*"))}


def _trial(
    command: Sequence[str], whole: Path, folder: Path, delay: float, *, killed: str, workers: int
) -> dict[str, Any] | None:
    """One trial; None if the job had ended when it was to be killed."""
    command = [*command, "--out", str(folder)]
    process = started(command, folder / PLAN_NAME)
    was_running = killed_after(process, delay, whole_group=killed == "group")
    _wait_for_group(process.pid)
    if not was_running:
        return None
    temporaries = temporaries_left(folder)
    kept = _states(folder)
    again = subprocess.run(command, capture_output=True, check=False)
    if again.returncode != 0:
        raise RuntimeError(f"{folder}: failed after a kill: {again.stderr.decode()[-2000:]}")
    after = _states(folder)
    names = {path.name for path in folder.iterdir()}
    return {
        "workers": workers,
        "killed": killed,  # the whole group, or only the parent, the process that was started
        "killed_after_seconds": round(delay, 3),  # counted from when it had written its plan
        "temporaries_left": temporaries,  # half-written files that the kill left
        "units": len(after),
        "units_done": len(kept),  # whose file was there after the kill
        "files_kept": all(after.get(name) == state for name, state in kept.items()),  # untouched
        "files_left": len(names - {path.name for path in whole.iterdir()}),
        "same_bytes": unit_files(folder) == unit_files(whole),
    }


def _states(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes when a file is written again: its number on the disk, and its time."""
    states = ((name, (folder / name).stat()) for name in unit_files(folder))
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


def _detect(folder: Path) -> list[str]:
    films = SIZES["short"]["demo-long"]
    write_dataset("demo-long", folder, films=films, dials=Dials(), seed=0, workers=1)
    command = orn("detect", "demo-long", "--data", folder, "--limit", 1, "--device", "cpu")
    return [*command, "--unit-frames", "8"]


def _import(folder: Path) -> list[str]:
    """Videos of one frame, and masks as the authors of the paper write them."""
    for place in range(_IMPORTED["videos"]):
        video, masks = folder / "made" / f"{place}.mp4", folder / "masks" / f"{place}.pkl"
        for path in (video, masks):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_video(video, [np.full((48, 64, 3), place, np.uint8)])
        masks.write_bytes(pickle.dumps(_masks(_IMPORTED["frames"] + place), 4))
    manifest = folder / "made.toml"
    manifest.write_text(manifest_text("made", "{id}.mp4"))
    return orn("import-masks", manifest, folder / "masks", "--format", "authors", "--data", folder)


def _masks(num_frames: int) -> dict[str, Any]:
    mask_HW = np.zeros((100, 100), dtype=bool)
    mask_HW[20:75, 10:50] = True
    counts, row = encode(mask_HW), np.array([10, 20, 50, 75, 0.75], np.float32)
    tables: dict[str, Any] = {
        name: [[[] for _ in range(81)] for _ in range(num_frames)] for name in ("segms", "boxes")
    }
    for segms, boxes in zip(tables["segms"], tables["boxes"], strict=True):
        segms[3] = [{"size": [100, 100], "counts": counts} for _ in range(_IMPORTED["detections"])]
        boxes[3] = [row.copy() for _ in segms[3]]
    return tables


_COMMANDS = {"detect": _detect, "import-masks": _import}


@click.command()
@click.option("--command", type=click.Choice([*_COMMANDS]), default="detect", show_default=True)
@tool("kill_jobs", good="good")
def main(folder: Path, *, trials: int, seed: int, command: str) -> dict[str, Any]:
    """Kill a job of units TRIALS times at random moments and check what it completes to."""
    words = _COMMANDS[command](folder / "data")
    found = kill_trials(words, folder / "trials", trials=trials, seed=seed)
    return {
        "left_temporaries": sum(trial["temporaries_left"] > 0 for trial in found),
        "good": sum(map(is_good, found)),
        "each": found,
    }


if __name__ == "__main__":
    main()
