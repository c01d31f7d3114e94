"""Kills `orn clips` at random moments and checks that it completes to the same frames.

    python -m benchmarks.kill_clips --trials 20 --out FILE

Each trial starts the command on a folder of small generated videos, kills it with SIGKILL at a
moment drawn uniformly from the time in which a whole run holds the store's lock, or at another one
if it had ended by then, looks at what it left, and runs it again to its end. The stored data sets
must then equal those of a run that was never killed, byte for byte.
"""

import subprocess
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.killing import killed_after, orn, seconds_of, started, tool, until_killed
from benchmarks.made_inputs import manifest_text, write_video
from shared.jobs.file_lock import lock_path

__all__ = ["KillTrial", "kill_trials"]

_SIZES = {"num_videos": 16, "num_frames": 100, "workers": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class KillTrial:
    """One kill and what came after it."""

    killed_after_seconds: float
    """When it was killed, counted from when it had locked the store."""
    finished_videos: int
    """Parts that it had finished and not yet merged."""
    store_was_there: bool
    same_bytes: bool
    """Whether running it again gave the same bytes as a run that was never killed."""


def kill_trials(
    folder: Path, *, trials: int, num_videos: int, num_frames: int, workers: int, seed: int
) -> list[KillTrial]:
    """The trials, in folders of their own under `folder`."""
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
) -> KillTrial | None:
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
    return KillTrial(
        killed_after_seconds=round(delay, 3),
        finished_videos=left,
        store_was_there=there,
        same_bytes=stored_bytes(store) == expected,
    )


def stored_bytes(path: Path) -> dict[str, bytes]:
    """The content of every dataset of a store."""
    with h5py.File(path, "r") as file:
        return {
            name: repr(file[name].asstr()[:].tolist()).encode()
            if file[name].dtype == object
            else file[name][:].tobytes()
            for name in file
        }


def _report(folder: Path, *, trials: int, seed: int) -> dict[str, Any]:
    found = kill_trials(folder / "trials", trials=trials, seed=seed, **_SIZES)
    same = sum(trial.same_bytes for trial in found)
    return {"same_bytes": same, **_SIZES, "each": [asdict(trial) for trial in found]}


main = tool("kill_clips", "same_bytes", _report)

if __name__ == "__main__":
    main()
