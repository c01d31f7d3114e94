"""Kills `orn clips` at random moments and checks that it completes to the same frames.

    python -m benchmarks.kill_clips --trials 20 --out FILE

Each trial starts the command on a folder of small generated videos, kills it with SIGKILL at a
moment drawn uniformly from the time in which a whole run holds the store's lock, or at another one
if it had ended by then, looks at what it left, and runs it again to its end. The stored data sets
must then equal those of a run that was never killed, byte for byte.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import click
import h5py
import numpy as np

from benchmarks.killing import killed_after, until_killed
from benchmarks.options import out_option
from benchmarks.result import describe_machine
from shared.jobs.atomic_file import write_text
from shared.jobs.lock import lock_path

__all__ = ["KillTrial", "kill_trials"]

_SIZE = (48, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class KillTrial:
    """One kill and what came after it."""

    killed_after_seconds: float
    """When it was killed, counted from when it had locked the store."""
    finished_videos: int
    """Parts that it had finished and not yet merged."""
    store_was_there: bool
    """Whether the store was there already."""
    same_bytes: bool
    """Whether running it again gave the same bytes as a run that was never killed."""


def kill_trials(
    folder: Path, *, trials: int, num_videos: int, num_frames: int, workers: int, seed: int
) -> tuple[KillTrial, ...]:
    """The trials, in folders of their own under `folder`."""
    manifest = _write_data_set(folder, num_videos=num_videos, num_frames=num_frames)
    whole = folder / "whole.h5"
    process = _start(manifest, whole, workers)
    _wait_for_lock(process, whole)
    began = time.perf_counter()
    if process.wait() != 0:
        raise RuntimeError(f"{whole}: the command failed without a kill")
    length_seconds = time.perf_counter() - began
    expected = stored_bytes(whole)
    generator = np.random.default_rng(seed)
    found = []
    trial = partial(_trial, manifest, workers=workers, expected=expected)
    moment = partial(generator.uniform, 0, length_seconds)
    for number in range(trials):
        found.append(until_killed(trial, folder / f"trial-{number:02d}", moment))
    return tuple(found)


def _trial(
    manifest: Path, folder: Path, delay: float, *, workers: int, expected: dict[str, bytes]
) -> KillTrial | None:
    """One trial; None if the job had ended when it was to be killed."""
    store = folder / "clips.h5"
    process = _start(manifest, store, workers)
    _wait_for_lock(process, store)
    if not killed_after(process, delay):
        return None
    left = len(list(store.with_name("clips.h5.parts").glob("*.h5")))
    there = store.exists()
    if there:
        stored_bytes(store)
    if _start(manifest, store, workers).wait() != 0:
        raise RuntimeError(f"{store}: the command failed after a kill at {delay:.2f} s")
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


def _start(manifest: Path, store: Path, workers: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "shared.cli", "clips", str(manifest)]
    command += ["--data", str(manifest.parent), "--out", str(store), "--workers", str(workers)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait_for_lock(process: "subprocess.Popen[bytes]", store: Path) -> None:
    while not lock_path(store).exists() and process.poll() is None:
        time.sleep(0.005)


def _write_data_set(folder: Path, *, num_videos: int, num_frames: int) -> Path:
    """Films of noise, and a manifest for them."""
    generator = np.random.default_rng(0)
    (folder / "films").mkdir(parents=True)
    for number in range(num_videos):
        _write_film(folder / "films" / f"{number}.mp4", generator, num_frames)
    manifest = folder / "films.toml"
    manifest.write_text(
        'name = "films"\ntitle = "Films"\nform = "clips"\ntask = "single-label"\n'
        'metric = "top1"\nclip_frames = 4\nroot = "films"\n'
        '[videos]\npattern = "{id}.mp4"\n'
        '[labels]\nformat = "table"\ntable = "labels.csv"\nclasses = "classes.txt"\n'
    )
    return manifest


def _write_film(path: Path, generator: np.random.Generator, num_frames: int) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = _SIZE
        stream.pix_fmt = "yuv420p"
        for _ in range(num_frames):
            image = generator.integers(0, 256, (*_SIZE, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


@click.command()
@click.option("--trials", type=click.IntRange(1), default=20, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the moments.")
@out_option
def main(trials: int, seed: int, out: Path | None) -> None:
    """Kill `orn clips` TRIALS times at random moments and check what it completes to."""
    sizes = {"num_videos": 16, "num_frames": 100, "workers": 2}
    with tempfile.TemporaryDirectory() as folder:
        found = kill_trials(Path(folder) / "trials", trials=trials, seed=seed, **sizes)
    report: dict[str, Any] = {
        "tool": "kill_clips",
        "trials": trials,
        "same_bytes": sum(trial.same_bytes for trial in found),
        "seed": seed,
        **sizes,
        "each": [asdict(trial) for trial in found],
        "machine": describe_machine(),
    }
    text = json.dumps(report, indent=2) + "\n"
    if out is not None:
        write_text(out, text)
    click.echo(text, nl=False)
    sys.exit(0 if report["same_bytes"] == trials else 1)


if __name__ == "__main__":
    main()
