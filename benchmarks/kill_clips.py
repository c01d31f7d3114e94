"""Kills `orn clips` at random moments and checks that it completes to the same frames.

    python -m orn.benchmarks.kill_clips --trials 20 --out FILE

Each trial starts the command on a folder of small generated videos, kills it with SIGKILL at a
moment drawn uniformly from the time in which a whole run holds the store's lock, or at another one
if it had ended by then, looks at what it left, and runs it again to its end. What is stored must
then equal what a run stores that was never killed, byte for byte, and nothing else may be left.
"""

import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from orn.benchmarks.killing import (
    killed_after,
    orn,
    seconds_of,
    started,
    tool,
    until_killed,
)
from orn.benchmarks.made_inputs import manifest_text, write_video
from orn.shared.jobs.lock import lock_path
from orn.shared.jobs.plan import PLAN_NAME
from orn.stage2_train.frames.reader import INDEX_NAME, ClipStore, is_clip_store
from orn.stage2_train.frames.schema import CLIP_FILES

_SIZES = {"num_videos": 16, "num_frames": 100, "workers": 2}


def kill_trials(
    folder: Path, *, trials: int, num_videos: int, num_frames: int, workers: int, seed: int
) -> list[dict[str, Any]]:
    """What each kill left, in a folder of its own under `folder`, and what came after it."""
    generator = np.random.default_rng(0)
    (folder / "films").mkdir(parents=True)
    for number in range(num_videos):
        films = generator.integers(0, 256, (num_frames, 48, 64, 3), dtype=np.uint8)
        write_video(folder / "films" / f"{number}.mp4", films)
    (folder / "films.toml").write_text(manifest_text("films", "{id}.mp4"))
    command = orn("clips", folder / "films.toml", "--data", folder, "--workers", workers)
    whole = folder / "whole"
    length_seconds = seconds_of([*command, "--out", str(whole)], lock_path(whole / PLAN_NAME))
    trial = partial(_trial, command, stored_bytes(whole))
    moment = partial(np.random.default_rng(seed).uniform, 0, length_seconds)
    return [until_killed(trial, folder / f"trial-{n:02d}", moment) for n in range(trials)]


def _trial(
    command: list[str], expected: dict[str, list[bytes]], folder: Path, delay: float
) -> dict[str, Any] | None:
    """One trial; None if the job had ended when it was to be killed."""
    store = folder / "clips"
    command = [*command, "--out", str(store)]
    if not killed_after(started(command, lock_path(store / PLAN_NAME)), delay):
        return None
    finished = len(stored_bytes(store)) if is_clip_store(store) else 0
    subprocess.run(command, check=True, capture_output=True)
    usual = {INDEX_NAME, *(each.name for each in store.glob(CLIP_FILES.pattern))}
    left = {each.name for each in store.iterdir()} - usual
    return {
        "killed_after_seconds": round(delay, 3),  # counted from when it had locked the store
        "finished_videos": finished,
        "left_over": sorted(left),
        "same_bytes": stored_bytes(store) == expected and not left,
    }


def stored_bytes(path: Path) -> dict[str, list[bytes]]:
    """Times and JPEG files of every video of a store."""
    store = ClipStore(path)
    each = {name: store.frames(name) for name in sorted(store.ids)}
    return {
        name: [own.seconds.tobytes(), *own.file.jpeg_files(own.video, range(len(own)))]
        for name, own in each.items()
    }


@click.command()
@tool("kill_clips", good="same_bytes")
def main(folder: Path, *, trials: int, seed: int) -> dict[str, Any]:
    """Kill `orn clips` TRIALS times at random moments and check what it completes to."""
    found = kill_trials(folder / "trials", trials=trials, seed=seed, **_SIZES)
    return {"same_bytes": sum(each["same_bytes"] for each in found), **_SIZES, "each": found}


if __name__ == "__main__":
    main()
