"""Writes a whole demo world: the films, label tables and ground truth of its data sets.

Every film has a seed of its own, made from the world's seed, the data set, the part and its number,
so parts never share a film and a world does not depend on how many processes drew it. Films are
drawn in chunks; a chunk that is whole is never drawn again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from demo.world.dials import ACTIVITIES, FRAMES_PER_SECOND, TOUCHABLE, Dials
from demo.world.films import write_film
from demo.world.ground_truth import FilmTruth, coco_document, film_truth
from demo.world.places import place_classes
from demo.world.plans import PLANNERS
from shared.errors import ConfigError
from shared.jobs.atomic_file import write_text
from shared.jobs.progress import progress
from shared.masks.coco_classes import COCO_CLASSES

WORLD_VERSION = 1
"""Raised whenever the same dials and seed give other films."""

PARTS = ("train", "validation", "test")
_DATASET_NUMBERS = {
    "demo": 0,
    "demo-touch": 1,
    "demo-long": 2,
    "demo-detector": 3,
    "demo-places": 4,
    "demo-classes": 5,
}
_FILMS_A_CHUNK = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSize:
    """Number of films of each part of each data set."""

    demo: tuple[int, int, int]
    demo_touch: tuple[int, int, int]
    demo_long: tuple[int, int, int]
    demo_places: tuple[int, int, int]
    demo_classes: tuple[int, int, int]

    def of(self, dataset: str) -> dict[str, int]:
        """Films by part name."""
        return dict(zip(PARTS, getattr(self, dataset.replace("-", "_")), strict=True))

    def with_films(self, dataset: str, films: tuple[int, int, int]) -> WorldSize:
        """The same, with these numbers of films of one data set."""
        return replace(self, **{dataset.replace("-", "_"): films})


SIZES = {
    "short": WorldSize(
        demo=(96, 48, 0),
        demo_touch=(24, 12, 0),
        demo_long=(2, 1, 0),
        demo_places=(24, 12, 0),
        demo_classes=(24, 12, 0),
    ),
    "standard": WorldSize(
        demo=(1600, 320, 0),
        demo_touch=(48, 24, 0),
        demo_long=(4, 2, 0),
        demo_places=(48, 24, 0),
        demo_classes=(48, 24, 0),
    ),
    "full": WorldSize(
        demo=(4800, 600, 1200),
        demo_touch=(2400, 400, 800),
        demo_long=(48, 12, 12),
        demo_places=(4000, 400, 1000),
        demo_classes=(2400, 200, 0),
    ),
}


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
    return np.random.default_rng([seed, _DATASET_NUMBERS[dataset], PARTS.index(part), number])


def write_dataset(
    dataset: str, root: Path, *, size: WorldSize, dials: Dials, seed: int, workers: int
) -> int:
    """Write one data set of the world under `root / dataset`; what is whole already is left alone.

    Returns:
        Number of films drawn now; 0 if the data set was there.

    Raises:
        ConfigError: the folder holds a world of another seed, size or dials, or the dials do not
            suit the data set.
    """
    dials.check_for(dataset)
    folder = root / dataset
    identity = _identity(dataset, size=size, dials=dials, seed=seed)
    if _is_whole(folder, dataset, identity):
        return 0
    chunks = [
        _Chunk(dataset=dataset, part=part, seed=seed, start=start, dials=dials, folder=folder,
               stop=min(start + _FILMS_A_CHUNK, number))
        for part, number in size.of(dataset).items()
        for start in range(0, number, _FILMS_A_CHUNK)
    ]  # fmt: skip
    missing = [chunk for chunk in chunks if not chunk.record.exists()]
    _draw(dataset, missing, workers)
    films = {part: _read_records(chunks, part) for part in PARTS}
    _write_tables(folder, dataset, films, dials)
    write_text(folder / "world.json", json.dumps(identity, indent=1) + "\n")
    shutil.rmtree(folder / ".parts")
    return sum(chunk.stop - chunk.start for chunk in missing)


def _identity(dataset: str, *, size: WorldSize, dials: Dials, seed: int) -> dict[str, Any]:
    return {
        "version": WORLD_VERSION,
        "seed": seed,
        "films": size.of(dataset),
        "dials": dials.as_json(),
    }


def _difference(dataset: str, found: dict[str, Any], wanted: dict[str, Any]) -> str | None:
    """What of two records gives other films, None if nothing does: dials that do not turn the data
    set do not matter, and one that a record does not name has its default."""
    for key, value in wanted.items():
        if key == "dials":
            known = {field.name for field in fields(Dials)}
            if not found[key].keys() <= known:
                return key
            if Dials(**found[key]).of(dataset) != Dials(**value).of(dataset):
                return key
        elif found.get(key) != value:
            return key
    return None


def _is_whole(folder: Path, dataset: str, identity: dict[str, Any]) -> bool:
    """Whether the folder holds exactly this world; claims it for this world if it is new."""
    for name in ("world.json", ".parts/plan.json"):
        marker = folder / name
        if not marker.exists():
            continue
        found = json.loads(marker.read_text())
        wrong = _difference(dataset, found, identity)
        if wrong is not None:
            raise ConfigError(
                f"{folder} holds another demo world: {wrong} is {found.get(wrong)}, wanted "
                f"{identity[wrong]}; remove the folder or choose another with --data"
            )
        return name == "world.json"
    write_text(folder / ".parts" / "plan.json", json.dumps(identity))
    return False


def _draw(dataset: str, chunks: list[_Chunk], workers: int) -> None:
    total = sum(chunk.stop - chunk.start for chunk in chunks)
    with progress(f"draw {dataset}", total=total, unit="films") as bar:
        if workers <= 1:
            for chunk in chunks:
                bar.advance(_draw_chunk(chunk))
            return
        with ProcessPoolExecutor(workers) as pool:
            for done in as_completed([pool.submit(_draw_chunk, chunk) for chunk in chunks]):
                bar.advance(done.result())


def _draw_chunk(chunk: _Chunk) -> int:
    """Draw the films of a chunk, then its record; the record exists only if all its films do."""
    cv2.setNumThreads(1)
    films = []
    for number in range(chunk.start, chunk.stop):
        rng = film_rng(chunk.seed, chunk.dataset, chunk.part, number)
        scenes = PLANNERS[chunk.dataset](chunk.dials, rng)
        video_id = f"{chunk.part}-{number:06d}"
        truth = write_film(chunk.folder / "videos" / f"{video_id}.mp4", scenes, chunk.dials)
        films.append(film_truth(video_id, scenes, truth))
    write_text(chunk.record, json.dumps([asdict(film) for film in films]))
    return len(films)


def _read_records(chunks: Iterable[_Chunk], part: str) -> list[FilmTruth]:
    return [
        FilmTruth(**film)
        for chunk in chunks
        if chunk.part == part
        for film in json.loads(chunk.record.read_text())
    ]


def _write_tables(
    folder: Path, dataset: str, films: dict[str, list[FilmTruth]], dials: Dials
) -> None:
    """Label table, class list and COCO ground truth."""
    rows = {
        "demo": _clip_rows,
        "demo-touch": _touch_rows,
        "demo-long": _segment_rows,
        "demo-places": _place_rows,
        "demo-classes": _class_rows,
    }[dataset]
    lines = [row for part, part_films in films.items() for row in rows(part, part_films)]
    header = "id,video,label,start,stop,split" if dataset == "demo-long" else "video,label,split"
    write_text(folder / "labels.csv", "\n".join([header, *lines]) + "\n")
    classes = {
        "demo-touch": TOUCHABLE[: dials.classes],
        "demo-places": place_classes(dials),
        "demo-classes": TOUCHABLE[: dials.classes],
    }.get(dataset, ACTIVITIES)
    write_text(folder / "classes.txt", "\n".join(classes) + "\n")
    for part, part_films in films.items():
        if part_films:
            document = coco_document(part_films, frames_per_second=FRAMES_PER_SECOND)
            write_text(folder / "ground_truth" / f"{part}.json", json.dumps(document))


def _clip_rows(part: str, films: list[FilmTruth]) -> list[str]:
    return [f"{film.video_id},{ACTIVITIES[film.relations[0]['activity']]},{part}" for film in films]


def _touch_rows(part: str, films: list[FilmTruth]) -> list[str]:
    return [f"{film.video_id},{';'.join(film.touched)},{part}" for film in films]


def _place_rows(part: str, films: list[FilmTruth]) -> list[str]:
    return [f"{film.video_id},{film.label},{part}" for film in films]


def _class_rows(part: str, films: list[FilmTruth]) -> list[str]:
    return [f"{film.video_id},{';'.join(_shown(film))},{part}" for film in films]


def _shown(film: FilmTruth) -> list[str]:
    """The classes of the objects on the table, sorted."""
    shown = {COCO_CLASSES[a["category_id"] - 1] for frame in film.frames for a in frame}
    return sorted(shown.intersection(TOUCHABLE))


def _segment_rows(part: str, films: list[FilmTruth]) -> list[str]:
    rows = []
    for film in films:
        for number, relation in enumerate(film.relations):
            start = relation["start_frame"] / FRAMES_PER_SECOND
            stop = relation["stop_frame"] / FRAMES_PER_SECOND
            name = ACTIVITIES[relation["activity"]]
            rows.append(
                f"{film.video_id}-{number:02d},{film.video_id},{name},{start},{stop},{part}"
            )
    return rows
