"""Write the films, label tables and ground truth of the demo data sets.

The random numbers of a film depend only on the world's seed, the data set, the split and the number
of the film. Films are drawn in chunks; a complete chunk is never drawn again.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from orn.demo.world.films import FilmTruth, truth_document, write_film
from orn.demo.world.parameters import (
    ACTIVITIES,
    World,
    WorldParameters,
)
from orn.demo.world.places import both_classes, plan_both_scene
from orn.demo.world.scene import PlannedActivity, Scene, plan_scene, random_activity
from orn.shared.config.bounded import read_json
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.jobs.progress import progress
from orn.shared.jobs.same_job import check_same_job
from orn.shared.jobs.workers import in_workers

WORLD_VERSION = 1
"""Increased whenever the same parameters and seed produce different films."""

PARTS = ("train", "validation", "test")
LOST = PipelineError(
    "films: a process ended abruptly, perhaps out of memory; run the command again, with fewer "
    "--workers if it recurs"
)
FILMS_PER_CHUNK = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dataset:
    """The definition of a data set."""

    plan: Callable[[WorldParameters, np.random.Generator], Scene]
    """Returns the scene of a film."""
    classes: Sequence[str]
    """All labels."""
    films: tuple[tuple[int, int, int], ...]
    """Number of films in each split, for each of `SIZES`."""
    seed: int
    """Part of the seed of its films."""


def _plan_demo(parameters: WorldParameters, rng: np.random.Generator) -> Scene:
    num_frames = parameters.frames
    planned = random_activity(rng, num_frames)
    decoys: list[PlannedActivity | None] = []
    for _ in range(parameters.decoy_pairs):
        decoy = random_activity(rng, num_frames)
        decoys.append(decoy if rng.random() < parameters.decoy_probability else None)
    return plan_scene(planned, decoys, parameters=parameters, num_frames=num_frames, rng=rng)


def _plan_both(parameters: WorldParameters, rng: np.random.Generator) -> Scene:
    return plan_both_scene(int(rng.integers(len(both_classes()))), parameters=parameters, rng=rng)


_DATASETS: dict[World, _Dataset] = {
    "demo": _Dataset(
        plan=_plan_demo,
        classes=ACTIVITIES,
        films=((96, 48, 0), (1600, 320, 0), (4800, 600, 1200)),
        seed=0,
    ),
    "demo-both": _Dataset(
        plan=_plan_both,
        classes=both_classes(),
        films=((24, 12, 0), (48, 24, 0), (4000, 400, 1000)),
        seed=6,
    ),
}
SIZES = {
    size: {name: dataset.films[place] for name, dataset in _DATASETS.items()}
    for place, size in enumerate(("short", "standard", "full"))
}
"""Number of films in each split, by size and data set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """Consecutive films of one split, drawn by one process."""

    dataset: World
    part: str
    seed: int
    start: int
    stop: int
    parameters: WorldParameters
    folder: Path

    @property
    def record(self) -> Path:
        return self.folder / ".parts" / f"{self.part}-{self.start:06d}.json"


def film_rng(seed: int, dataset: World, part: str, number: int) -> np.random.Generator:
    """Return the random generator of a film, which is different for every film."""
    return np.random.default_rng([seed, _DATASETS[dataset].seed, PARTS.index(part), number])


def plan_film(dataset: World, parameters: WorldParameters, rng: np.random.Generator) -> Scene:
    """Return the scene of a film in a data set."""
    return _DATASETS[dataset].plan(parameters, rng)


def write_dataset(
    dataset: World,
    root: Path,
    *,
    films: Sequence[int],
    parameters: WorldParameters,
    seed: int,
    workers: int,
) -> int:
    """Draw the missing films of a data set and write it to `root / dataset`.

    Args:
        dataset: name of the data set.
        root: folder of all data sets.
        films: number of films of each of `PARTS`.
        parameters: parameters of the world.
        seed: seed of the world.
        workers: number of processes.

    Returns:
        The number of films drawn by this call.

    Raises:
        ConfigError: if the folder has a data set with a different seed, size or parameters, or the
            parameters are invalid for the data set.
    """
    parameters.check_for(dataset)
    folder = root / dataset
    num_films = dict(zip(PARTS, films, strict=True))
    identity = {
        "version": WORLD_VERSION,
        "seed": seed,
        "films": num_films,
        "parameters": parameters.used_by(dataset),
    }
    if _is_complete(folder, identity):
        return 0
    chunks = [
        _Chunk(
            dataset=dataset,
            part=part,
            seed=seed,
            start=start,
            stop=min(start + FILMS_PER_CHUNK, number),
            parameters=parameters,
            folder=folder,
        )
        for part, number in num_films.items()
        for start in range(0, number, FILMS_PER_CHUNK)
    ]
    missing = [chunk for chunk in chunks if not chunk.record.exists()]
    _draw(dataset, missing, workers)
    drawn: dict[str, list[FilmTruth]] = {part: [] for part in PARTS}
    for chunk in chunks:
        drawn[chunk.part] += [FilmTruth(**film) for film in json.loads(chunk.record.read_text())]
    _write_tables(folder, _DATASETS[dataset].classes, drawn)
    write_text(folder / "world.json", json.dumps(identity, indent=1) + "\n")
    shutil.rmtree(folder / ".parts")
    return sum(chunk.stop - chunk.start for chunk in missing)


def _is_complete(folder: Path, identity: dict[str, Any]) -> bool:
    """Return whether a folder contains this data set; record the data set in a new folder."""
    for name in ("world.json", ".parts/plan.json"):
        marker = folder / name
        if not marker.exists():
            continue
        check_same_job(
            read_json(marker),
            identity,
            place=folder,
            remedy="remove the folder or choose a different one with --data",
        )
        return name == "world.json"
    check_output_folder(folder, ours=())
    write_text(folder / ".parts" / "plan.json", json.dumps(identity))
    return False


def _draw(dataset: str, chunks: list[_Chunk], workers: int) -> None:
    total = sum(chunk.stop - chunk.start for chunk in chunks)
    with progress(f"draw {dataset}", total=total, unit="films") as bar:
        for _, number in in_workers(_draw_chunk, chunks, workers=workers, lost=LOST):
            bar.advance(number)


def _draw_chunk(chunk: _Chunk) -> int:
    """Draw the films of a chunk and return their number; the record is written last."""
    cv2.setNumThreads(1)
    films = []
    for number in range(chunk.start, chunk.stop):
        rng = film_rng(chunk.seed, chunk.dataset, chunk.part, number)
        scene = plan_film(chunk.dataset, chunk.parameters, rng)
        path = chunk.folder / "videos" / f"{chunk.part}-{number:06d}.mp4"
        films.append(write_film(path, scene, chunk.parameters))
    write_text(chunk.record, json.dumps([asdict(film) for film in films]))
    return len(films)


def _write_tables(folder: Path, classes: Sequence[str], films: dict[str, list[FilmTruth]]) -> None:
    """Write the label table, the list of classes and the ground truth in COCO format."""
    lines = [
        f"{film.video_id},{film.label},{part}"
        for part, part_films in films.items()
        for film in part_films
    ]
    write_text(folder / "labels.csv", "\n".join(["video,label,split", *lines]) + "\n")
    write_text(folder / "classes.txt", "\n".join(classes) + "\n")
    for part, part_films in films.items():
        if part_films:
            truth = json.dumps(truth_document(part_films))
            write_text(folder / "ground_truth" / f"{part}.json", truth)
