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
    DETECTOR_FRAMES,
    FRAMES_PER_SECOND,
    TOUCHABLE,
    WorldParameters,
)
from orn.demo.world.places import both_classes, place_classes, plan_both_scene, plan_places_scene
from orn.demo.world.scene import PlannedActivity, Scene, plan_scene, random_activity
from orn.demo.world.touch import plan_touch_scene
from orn.shared.config.bounded import read_json
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.jobs.progress import progress
from orn.shared.jobs.same_job import check_same_job
from orn.shared.jobs.workers import in_workers
from orn.shared.masks.coco_classes import COCO_CLASSES

WORLD_VERSION = 1
"""Increased whenever the same parameters and seed produce different films."""

PARTS = ("train", "validation", "test")
LOST = PipelineError(
    "films: a process ended abruptly, perhaps out of memory; run the command again, with fewer "
    "--workers if it recurs"
)
FILMS_PER_CHUNK = 20
_CHAPTERS = 6
_CHAPTER_FRAMES = 28
_TOUCH_FRAMES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dataset:
    """The definition of a data set: its films and label table."""

    plan: Callable[[WorldParameters, np.random.Generator], list[Scene]]
    """Returns the scenes of a film."""
    classes: Callable[[WorldParameters], Sequence[str]]
    """Returns all labels."""
    rows: Callable[[FilmTruth], list[str]]
    """Returns the lines of a film in the label table, without the split column."""
    films: tuple[tuple[int, int, int], ...]
    """Number of films in each split, for each of `SIZES`."""
    header: str = "video,label,split"


def _plan_demo(parameters: WorldParameters, rng: np.random.Generator) -> list[Scene]:
    num_frames = parameters.frames
    planned = random_activity(rng, 0, num_frames)
    decoys: list[PlannedActivity | None] = []
    for _ in range(parameters.decoy_pairs):
        decoy = random_activity(rng, 0, num_frames)
        decoys.append(decoy if rng.random() < parameters.decoy_probability else None)
    return [plan_scene(planned, decoys, parameters=parameters, num_frames=num_frames, rng=rng)]


def _plan_touch(parameters: WorldParameters, rng: np.random.Generator) -> list[Scene]:
    return [plan_touch_scene(parameters, num_frames=_TOUCH_FRAMES, rng=rng)]


def _plan_long(parameters: WorldParameters, rng: np.random.Generator) -> list[Scene]:
    """Plan chapters separated by cuts, each with two activities with overlapping segments."""
    scenes = []
    for _ in range(_CHAPTERS):
        first = random_activity(rng, 0, 16)
        second = random_activity(rng, 11, _CHAPTER_FRAMES)
        scene = plan_scene(
            first,
            [second],
            parameters=parameters,
            num_frames=_CHAPTER_FRAMES,
            rng=rng,
            others_in_role=True,
        )
        scenes.append(scene)
    return scenes


def _plan_places(parameters: WorldParameters, rng: np.random.Generator) -> list[Scene]:
    label = int(rng.integers(len(place_classes(parameters))))
    return [plan_places_scene(label, parameters=parameters, rng=rng)]


def _plan_both(parameters: WorldParameters, rng: np.random.Generator) -> list[Scene]:
    return [plan_both_scene(int(rng.integers(len(both_classes()))), parameters=parameters, rng=rng)]


def _segment_rows(film: FilmTruth) -> list[str]:
    return [
        f"{film.video_id}-{number:02d},{film.video_id},{relation['name']},"
        f"{relation['start_frame'] / FRAMES_PER_SECOND},"
        f"{relation['stop_frame'] / FRAMES_PER_SECOND}"
        for number, relation in enumerate(film.relations)
    ]


def _shown(film: FilmTruth) -> list[str]:
    """Return the sorted classes of the objects on the table."""
    shown = {COCO_CLASSES[a["category_id"] - 1] for frame in film.frames for a in frame}
    return sorted(shown.intersection(TOUCHABLE))


_DATASETS = {
    "demo": _Dataset(
        plan=_plan_demo,
        classes=lambda parameters: ACTIVITIES,
        rows=lambda film: [f"{film.video_id},{film.relations[0]['name']}"],
        films=((96, 48, 0), (1600, 320, 0), (4800, 600, 1200)),
    ),
    "demo-touch": _Dataset(
        plan=_plan_touch,
        classes=lambda parameters: TOUCHABLE[: parameters.classes],
        rows=lambda film: [f"{film.video_id},{';'.join(film.touched)}"],
        films=((24, 12, 0), (48, 24, 0), (2400, 400, 800)),
    ),
    "demo-long": _Dataset(
        plan=_plan_long,
        classes=lambda parameters: ACTIVITIES,
        rows=_segment_rows,
        films=((2, 1, 0), (4, 2, 0), (48, 12, 12)),
        header="id,video,label,start,stop,split",
    ),
    "demo-places": _Dataset(
        plan=_plan_places,
        classes=place_classes,
        rows=lambda film: [f"{film.video_id},{film.label}"],
        films=((24, 12, 0), (48, 24, 0), (4000, 400, 1000)),
    ),
    "demo-classes": _Dataset(
        plan=_plan_touch,
        classes=lambda parameters: TOUCHABLE[: parameters.classes],
        rows=lambda film: [f"{film.video_id},{';'.join(_shown(film))}"],
        films=((24, 12, 0), (48, 24, 0), (2400, 200, 0)),
    ),
    "demo-both": _Dataset(
        plan=_plan_both,
        classes=lambda parameters: both_classes(),
        rows=lambda film: [f"{film.video_id},{film.label}"],
        films=((24, 12, 0), (48, 24, 0), (4000, 400, 1000)),
    ),
}
SIZES = {
    size: {name: dataset.films[place] for name, dataset in _DATASETS.items()}
    for place, size in enumerate(("short", "standard", "full"))
}
"""Number of films in each split, by size and data set."""
_SEED_ORDER = (
    "demo",
    "demo-touch",
    "demo-long",
    DETECTOR_FRAMES,
    "demo-places",
    "demo-classes",
    "demo-both",
)
"""A data set's index here is part of the seed of its films."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """Consecutive films of one split, drawn by one process."""

    dataset: str
    part: str
    seed: int
    start: int
    stop: int
    parameters: WorldParameters
    folder: Path

    @property
    def record(self) -> Path:
        return self.folder / ".parts" / f"{self.part}-{self.start:06d}.json"


def film_rng(seed: int, dataset: str, part: str, number: int) -> np.random.Generator:
    """Return the random generator of a film, which is different for every film."""
    return np.random.default_rng([seed, _SEED_ORDER.index(dataset), PARTS.index(part), number])


def plan_film(dataset: str, parameters: WorldParameters, rng: np.random.Generator) -> list[Scene]:
    """Return the scenes of a film in a data set."""
    return _DATASETS[dataset].plan(parameters, rng)


def write_dataset(
    dataset: str,
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
    _write_tables(folder, _DATASETS[dataset], drawn, parameters)
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
        scenes = plan_film(chunk.dataset, chunk.parameters, rng)
        path = chunk.folder / "videos" / f"{chunk.part}-{number:06d}.mp4"
        films.append(write_film(path, scenes, chunk.parameters))
    write_text(chunk.record, json.dumps([asdict(film) for film in films]))
    return len(films)


def _write_tables(
    folder: Path, dataset: _Dataset, films: dict[str, list[FilmTruth]], parameters: WorldParameters
) -> None:
    """Write the label table, the list of classes and the ground truth in COCO format."""
    lines = [
        f"{row},{part}"
        for part, part_films in films.items()
        for film in part_films
        for row in dataset.rows(film)
    ]
    write_text(folder / "labels.csv", "\n".join([dataset.header, *lines]) + "\n")
    write_text(folder / "classes.txt", "\n".join(dataset.classes(parameters)) + "\n")
    for part, part_films in films.items():
        if part_films:
            truth = json.dumps(truth_document(part_films))
            write_text(folder / "ground_truth" / f"{part}.json", truth)
