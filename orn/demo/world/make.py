"""Write the films, label table and ground truth of the demo world.

The random numbers of a film depend only on the world's seed, the split and the number of the film.
Films are drawn in chunks; a complete chunk is never drawn again.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from orn.demo.world.cast import LABELS
from orn.demo.world.films import FilmTruth, truth_document, write_film
from orn.demo.world.scene import plan_scene
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.jobs.progress import progress
from orn.shared.jobs.same_job import begun_with, check_same_job
from orn.shared.jobs.workers import in_workers

WORLD = "demo"
"""Name of the data set."""
WORLD_VERSION = 2
"""Increased whenever the same seed produces different films."""
PARTS = ("train", "validation", "test")
LOST = PipelineError(
    "films: a process ended abruptly, perhaps out of memory; run the command again, with fewer "
    "--workers if it recurs"
)
FILMS_PER_CHUNK = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """Consecutive films of one split, drawn by one process."""

    part: str
    seed: int
    start: int
    stop: int
    folder: Path

    @property
    def record(self) -> Path:
        return self.folder / ".parts" / f"{self.part}-{self.start:06d}.json"


def film_rng(seed: int, part: str, number: int) -> np.random.Generator:
    """Return the random generator of a film, which is different for every film."""
    return np.random.default_rng([seed, PARTS.index(part), number])


def write_world(root: Path, *, films: Mapping[str, int], seed: int, workers: int) -> int:
    """Draw the missing films of the world and write it to `root / WORLD`.

    Args:
        root: folder of all data sets.
        films: number of films of each of `PARTS`.
        seed: seed of the world.
        workers: number of processes.

    Returns:
        The number of films drawn by this call.

    Raises:
        ConfigError: if the folder has a world with a different seed or size.
    """
    folder = root / WORLD
    identity = {"version": WORLD_VERSION, "seed": seed, "films": dict(films)}
    if _is_complete(folder, identity):
        return 0
    chunks = [
        _Chunk(
            part=part,
            seed=seed,
            start=start,
            stop=min(start + FILMS_PER_CHUNK, number),
            folder=folder,
        )
        for part, number in films.items()
        for start in range(0, number, FILMS_PER_CHUNK)
    ]
    missing = [chunk for chunk in chunks if not chunk.record.exists()]
    _draw(missing, workers)
    drawn: dict[str, list[FilmTruth]] = {part: [] for part in films}
    for chunk in chunks:
        drawn[chunk.part] += [FilmTruth(**film) for film in json.loads(chunk.record.read_text())]
    _write_tables(folder, drawn)
    write_text(folder / "world.json", json.dumps(identity, indent=1) + "\n")
    shutil.rmtree(folder / ".parts")
    return sum(chunk.stop - chunk.start for chunk in missing)


def _is_complete(folder: Path, identity: dict[str, Any]) -> bool:
    """Return whether a folder contains this data set; record the data set in a new folder."""
    world, begun = folder / "world.json", folder / ".parts" / "plan.json"
    if not world.exists() and not begun.exists():
        check_output_folder(folder, marker=None)
    recorded = begun_with(world if world.exists() else begun, identity)
    remedy = "remove the folder or choose a different one with --data"
    check_same_job(recorded, identity, place=folder, remedy=remedy)
    return world.exists()


def _draw(chunks: list[_Chunk], workers: int) -> None:
    total = sum(chunk.stop - chunk.start for chunk in chunks)
    with progress("draw", total=total, unit="films") as bar:
        for _, number in in_workers(_draw_chunk, chunks, workers=workers, lost=LOST):
            bar.advance(number)


def _draw_chunk(chunk: _Chunk) -> int:
    """Draw the films of a chunk and return their number; the record is written last."""
    cv2.setNumThreads(1)
    films = []
    for number in range(chunk.start, chunk.stop):
        scene = plan_scene(film_rng(chunk.seed, chunk.part, number))
        path = chunk.folder / "videos" / f"{chunk.part}-{number:06d}.mp4"
        films.append(write_film(path, scene))
    write_text(chunk.record, json.dumps([asdict(film) for film in films]))
    return len(films)


def _write_tables(folder: Path, films: dict[str, list[FilmTruth]]) -> None:
    """Write the label table, the list of classes and the ground truth in COCO format."""
    lines = [
        f"{film.video_id},{film.label},{part}"
        for part, part_films in films.items()
        for film in part_films
    ]
    write_text(folder / "labels.csv", "\n".join(["video,label,split", *lines]) + "\n")
    write_text(folder / "classes.txt", "\n".join(LABELS) + "\n")
    for part, part_films in films.items():
        if part_films:
            truth = json.dumps(truth_document(part_films))
            write_text(folder / "ground_truth" / f"{part}.json", truth)
