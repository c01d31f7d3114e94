"""Writes a demo world: the films, label tables and ground truth of its data sets.

Every film has a seed of its own, made from the world's seed, the data set, the part and its number,
so parts never share a film and a world does not depend on how many processes drew it. Films are
drawn in chunks; a chunk that is whole is never drawn again.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from orn.demo.world.dials import ACTIVITIES, DETECTOR_FRAMES, FRAMES_PER_SECOND, TOUCHABLE, Dials
from orn.demo.world.films import FilmTruth, truth_document, write_film
from orn.demo.world.places import (
    both_classes,
    place_classes,
    plan_both_scene,
    plan_places_scene,
)
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
"""Raised whenever the same dials and seed give other films."""

PARTS = ("train", "validation", "test")
LOST = PipelineError(
    "a process that draws films died, out of memory perhaps; the same command goes on, with fewer "
    "--workers if it happens again"
)
FILMS_A_CHUNK = 20
_CHAPTERS = 6
_CHAPTER_FRAMES = 28
_TOUCH_FRAMES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dataset:
    """What a data set's films show, and what its label table says of them."""

    plan: Callable[[Dials, np.random.Generator], list[Scene]]
    """The scenes of a film; the same dials and random numbers give the same film."""
    classes: Callable[[Dials], Sequence[str]]
    """All labels."""
    rows: Callable[[FilmTruth], list[str]]
    """Lines of the label table without the part."""
    films: tuple[tuple[int, int, int], ...]
    """Of each part, in each of `SIZES`."""
    header: str = "video,label,split"


def _plan_demo(dials: Dials, rng: np.random.Generator) -> list[Scene]:
    planned = random_activity(rng, 0, dials.frames)
    decoys: list[PlannedActivity | None] = []
    for _ in range(dials.decoy_pairs):
        decoy = random_activity(rng, 0, dials.frames)
        decoys.append(decoy if rng.random() < dials.decoy_probability else None)
    return [plan_scene(planned, decoys, dials=dials, num_frames=dials.frames, rng=rng)]


def _plan_touch(dials: Dials, rng: np.random.Generator) -> list[Scene]:
    return [plan_touch_scene(dials, num_frames=_TOUCH_FRAMES, rng=rng)]


def _plan_long(dials: Dials, rng: np.random.Generator) -> list[Scene]:
    """Chapters with a cut between them; in each, two activities whose segments overlap."""
    scenes = []
    for _ in range(_CHAPTERS):
        first = random_activity(rng, 0, 16)
        second = random_activity(rng, 11, _CHAPTER_FRAMES)
        scene = plan_scene(
            first, [second], dials=dials, num_frames=_CHAPTER_FRAMES, rng=rng, others_in_role=True
        )
        scenes.append(scene)
    return scenes


def _plan_places(dials: Dials, rng: np.random.Generator) -> list[Scene]:
    return [plan_places_scene(int(rng.integers(len(place_classes(dials)))), dials=dials, rng=rng)]


def _plan_both(dials: Dials, rng: np.random.Generator) -> list[Scene]:
    return [plan_both_scene(int(rng.integers(len(both_classes()))), dials=dials, rng=rng)]


def _segment_rows(film: FilmTruth) -> list[str]:
    return [
        f"{film.video_id}-{number:02d},{film.video_id},{relation['name']},"
        f"{relation['start_frame'] / FRAMES_PER_SECOND},"
        f"{relation['stop_frame'] / FRAMES_PER_SECOND}"
        for number, relation in enumerate(film.relations)
    ]


def _shown(film: FilmTruth) -> list[str]:
    """The classes of the objects on the table, sorted."""
    shown = {COCO_CLASSES[a["category_id"] - 1] for frame in film.frames for a in frame}
    return sorted(shown.intersection(TOUCHABLE))


_DATASETS = {
    "demo": _Dataset(
        plan=_plan_demo,
        classes=lambda dials: ACTIVITIES,
        rows=lambda film: [f"{film.video_id},{film.relations[0]['name']}"],
        films=((96, 48, 0), (1600, 320, 0), (4800, 600, 1200)),
    ),
    "demo-touch": _Dataset(
        plan=_plan_touch,
        classes=lambda dials: TOUCHABLE[: dials.classes],
        rows=lambda film: [f"{film.video_id},{';'.join(film.touched)}"],
        films=((24, 12, 0), (48, 24, 0), (2400, 400, 800)),
    ),
    "demo-long": _Dataset(
        plan=_plan_long,
        classes=lambda dials: ACTIVITIES,
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
        classes=lambda dials: TOUCHABLE[: dials.classes],
        rows=lambda film: [f"{film.video_id},{';'.join(_shown(film))}"],
        films=((24, 12, 0), (48, 24, 0), (2400, 200, 0)),
    ),
    "demo-both": _Dataset(
        plan=_plan_both,
        classes=lambda dials: both_classes(),
        rows=lambda film: [f"{film.video_id},{film.label}"],
        films=((24, 12, 0), (48, 24, 0), (4000, 400, 1000)),
    ),
}
SIZES = {
    size: {name: dataset.films[place] for name, dataset in _DATASETS.items()}
    for place, size in enumerate(("short", "standard", "full"))
}
"""Films of each part of each data set."""
_NUMBERS = (
    "demo",
    "demo-touch",
    "demo-long",
    DETECTOR_FRAMES,
    "demo-places",
    "demo-classes",
    "demo-both",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """Some films of one part, drawn by one process in one go."""

    dataset: str
    part: str
    seed: int
    start: int
    stop: int
    dials: Dials
    folder: Path

    @property
    def record(self) -> Path:
        return self.folder / ".parts" / f"{self.part}-{self.start:06d}.json"


def film_rng(seed: int, dataset: str, part: str, number: int) -> np.random.Generator:
    """The random numbers of one film; no two films of any world share them."""
    return np.random.default_rng([seed, _NUMBERS.index(dataset), PARTS.index(part), number])


def plan_film(dataset: str, dials: Dials, rng: np.random.Generator) -> list[Scene]:
    """The scenes of a film of a data set."""
    return _DATASETS[dataset].plan(dials, rng)


def write_dataset(
    dataset: str, root: Path, *, films: Sequence[int], dials: Dials, seed: int, workers: int
) -> int:
    """Writes one data set of the world under `root / dataset`; what is whole already is left alone.

    Args:
        films: How many there are of each of `PARTS`.

    Returns:
        Number of films drawn now; 0 if the data set was there.

    Raises:
        ConfigError: the folder holds a world of another seed, size or dials, or the dials do not
            suit the data set.
    """
    dials.check_for(dataset)
    folder = root / dataset
    num_films = dict(zip(PARTS, films, strict=True))
    identity = {
        "version": WORLD_VERSION, "seed": seed, "films": num_films, "dials": dials.as_json()
    }  # fmt: skip
    if _is_whole(folder, dataset, identity):
        return 0
    chunks = [
        _Chunk(dataset=dataset, part=part, seed=seed, start=start, dials=dials, folder=folder,
               stop=min(start + FILMS_A_CHUNK, number))
        for part, number in num_films.items()
        for start in range(0, number, FILMS_A_CHUNK)
    ]  # fmt: skip
    missing = [chunk for chunk in chunks if not chunk.record.exists()]
    _draw(dataset, missing, workers)
    drawn: dict[str, list[FilmTruth]] = {part: [] for part in PARTS}
    for chunk in chunks:
        drawn[chunk.part] += [FilmTruth(**film) for film in json.loads(chunk.record.read_text())]
    _write_tables(folder, _DATASETS[dataset], drawn, dials)
    write_text(folder / "world.json", json.dumps(identity, indent=1) + "\n")
    shutil.rmtree(folder / ".parts")
    return sum(chunk.stop - chunk.start for chunk in missing)


def _deciding(dataset: str, record: dict[str, Any]) -> dict[str, Any]:
    """What decides the films: a record with the dials alone that turn the data set; one that it
    does not name has its default."""
    dials = record["dials"]
    known = set(Dials.model_fields)
    return record | {"dials": Dials(**dials).of(dataset) if dials.keys() <= known else dials}


def _is_whole(folder: Path, dataset: str, identity: dict[str, Any]) -> bool:
    """Whether the folder holds exactly this world; claims it for this world if it is new."""
    for name in ("world.json", ".parts/plan.json"):
        marker = folder / name
        if not marker.exists():
            continue
        found = read_json(marker)
        check_same_job(
            _deciding(dataset, found),
            _deciding(dataset, identity),
            place=folder,
            remedy="remove the folder or choose another with --data",
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
    """Draws the films of a chunk, then its record; the record exists only if all its films do."""
    cv2.setNumThreads(1)
    films = []
    for number in range(chunk.start, chunk.stop):
        rng = film_rng(chunk.seed, chunk.dataset, chunk.part, number)
        scenes = plan_film(chunk.dataset, chunk.dials, rng)
        video_id = f"{chunk.part}-{number:06d}"
        films.append(write_film(chunk.folder / "videos" / f"{video_id}.mp4", scenes, chunk.dials))
    write_text(chunk.record, json.dumps([asdict(film) for film in films]))
    return len(films)


def _write_tables(
    folder: Path, dataset: _Dataset, films: dict[str, list[FilmTruth]], dials: Dials
) -> None:
    """Label table, class list and COCO ground truth."""
    lines = [
        f"{row},{part}"
        for part, part_films in films.items()
        for film in part_films
        for row in dataset.rows(film)
    ]
    write_text(folder / "labels.csv", "\n".join([dataset.header, *lines]) + "\n")
    write_text(folder / "classes.txt", "\n".join(dataset.classes(dials)) + "\n")
    for part, part_films in films.items():
        if part_films:
            truth = json.dumps(truth_document(part_films))
            write_text(folder / "ground_truth" / f"{part}.json", truth)
