"""Kills `orn clips` at random moments and checks that it completes to the same frames.

    python -m orn.benchmarks.kill_clips --trials 20 --out FILE

Each trial starts the command on a folder of small generated videos, kills it with SIGKILL at a
moment drawn uniformly from the time in which a whole run holds the store's lock, or at another one
if it had ended by then, looks at what it left, and runs it again to its end. The stored data sets
must then equal those of a run that was never killed, byte for byte.
"""

import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np

from orn.benchmarks.killing import killed_after, orn, seconds_of, started, tool, until_killed
from orn.benchmarks.made_inputs import manifest_text, write_video
from orn.shared.jobs.lock import lock_path

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
    whole = folder / "whole.h5"
    length_seconds = seconds_of([*command, "--out", str(whole)], lock_path(whole))
    trial = partial(_trial, command, stored_bytes(whole))
    moment = partial(np.random.default_rng(seed).uniform, 0, length_seconds)
    return [until_killed(trial, folder / f"trial-{n:02d}", moment) for n in range(trials)]


def _trial(
    command: list[str], expected: dict[str, bytes], folder: Path, delay: float
) -> dict[str, Any] | None:
    """One trial; None if the job had ended when it was to be killed."""
    store = folder / "clips.h5"
    command = [*command, "--out", str(store)]
    if not killed_after(started(command, lock_path(store)), delay):
        return None
    left = len(list(store.with_name("clips.h5.parts").glob("*.h5")))
    there = store.exists()
    if there:
        stored_bytes(store)  # it is whole
    subprocess.run(command, check=True, capture_output=True)
    return {
        "killed_after_seconds": round(delay, 3),  # counted from when it had locked the store
        "finished_videos": left,  # not yet merged
        "store_was_there": there,
        "same_bytes": stored_bytes(store) == expected,
    }


def stored_bytes(path: Path) -> dict[str, bytes]:
    """The content of every dataset of a store."""
    with h5py.File(path, "r") as file:
        return {
            name: repr(file[name].asstr()[:].tolist()).encode()
            if file[name].dtype == object
            else file[name][:].tobytes()
            for name in file
        }


@click.command()
@tool("kill_clips", good="same_bytes")
def main(folder: Path, *, trials: int, seed: int) -> dict[str, Any]:
    """Kill `orn clips` TRIALS times at random moments and check what it completes to."""
    found = kill_trials(folder / "trials", trials=trials, seed=seed, **_SIZES)
    return {"same_bytes": sum(each["same_bytes"] for each in found), **_SIZES, "each": found}


if __name__ == "__main__":
    main()
