"""Write the films, label table and ground truth of the demo world.

The random numbers of a film depend only on the world's seed, the split and the number of the film.
Films are drawn in chunks; a complete chunk is never drawn again.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from orn.demo.world.render_film import RenderedFrame, render
from orn.demo.world.scene import (
    FRAMES_PER_SECOND,
    HEIGHT,
    LABELS,
    WIDTH,
    Scene,
    category_id,
    plan_scene,
)
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import replacing, write_text
from orn.shared.jobs.outputs import begun_with, check_output_folder, check_same_job
from orn.shared.jobs.progress import progress
from orn.shared.jobs.workers import in_workers
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.rle import encode_crop

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
_MIN_VISIBLE_PIXELS = 20
_MIN_VISIBLE_SHARE = 0.25
TRUTH_BYTES = 1 << 30
"""Maximum size of a ground truth file."""
_IMAGES_PER_VIDEO = 100_000
"""Factor in image id = factor x video id + frame index."""

# No B-frames and no lookahead: with them, x264's output is not deterministic.
_ENCODER = {
    "crf": "20",
    "preset": "veryfast",
    "threads": "1",
    "bf": "0",
    "x264-params": "rc-lookahead=0:mbtree=0",
}

Annotation = dict[str, Any]
Frames = list[list[Annotation]]
"""Annotations of each frame of a film."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmTruth:
    """The ground truth of a film, as JSON values."""

    video_id: str
    frames: Frames
    """Annotations without image ids."""
    label: str


def write_film(path: Path, scene: Scene) -> FilmTruth:
    """Render a scene to an MP4 file of 160 x 120 pixels at 8 Hz.

    Returns:
        The ground truth; the film's id is the name of the file.
    """
    frames: Frames = []
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(FRAMES_PER_SECOND))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.options = _ENCODER
        for rendered in render(scene):
            frames.append(frame_annotations(rendered, scene))
            picture = av.VideoFrame.from_ndarray(rendered.image, format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return FilmTruth(video_id=path.stem, frames=frames, label=scene.label)


def frame_annotations(rendered: RenderedFrame, scene: Scene) -> list[Annotation]:
    """Return COCO annotations of the visible area of every object in a frame, without ids.

    An object with a visible area below 20 pixels or a quarter of its full area is marked
    `iscrowd`, so that COCO evaluation ignores it.
    """
    annotations = []
    for track, actor in enumerate(scene.actors):
        visible_HW = rendered.track_HW == track
        rows, columns = (np.flatnonzero(visible_HW.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            continue
        y, x = int(rows[0]), int(columns[0])
        crop = visible_HW[y : rows[-1] + 1, x : columns[-1] + 1]
        area = int(crop.sum())
        hidden = area < _MIN_VISIBLE_PIXELS or area < _MIN_VISIBLE_SHARE * rendered.full_area[track]
        counts = encode_crop(crop, x=x, y=y, height=HEIGHT, width=WIDTH)
        annotations.append(
            {
                "category_id": category_id(actor.class_name),
                "bbox": [x, y, crop.shape[1], crop.shape[0]],
                "area": area,
                "iscrowd": int(hidden),
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": counts.decode("ascii")},
            }
        )
    return annotations


def coco_document(frames: Iterable[tuple[dict[str, Any], list[Annotation]]]) -> dict[str, Any]:
    """Return a COCO document of images with their annotations."""
    images: list[dict[str, Any]] = []
    annotations: list[Annotation] = []
    for image, shown in frames:
        images.append(image)
        for annotation in shown:
            numbers = {"id": len(annotations) + 1, "image_id": image["id"]}
            annotations.append(annotation | numbers)
    categories = [{"id": category_id(name), "name": name} for name in COCO_CLASSES]
    return {"images": images, "annotations": annotations, "categories": categories}


def truth_document(films: Sequence[FilmTruth]) -> dict[str, Any]:
    """Return the ground truth of a split: the COCO document of all frames, and `videos`."""
    frames, videos = [], []
    for number, film in enumerate(films):
        videos.append({"id": number, "name": film.video_id, "label": film.label})
        for index, shown in enumerate(film.frames):
            image = {
                "id": number * _IMAGES_PER_VIDEO + index,
                "video_id": number,
                "file_name": f"videos/{film.video_id}.mp4",
                "frame_index": index,
                "seconds": index / FRAMES_PER_SECOND,
                "height": HEIGHT,
                "width": WIDTH,
            }
            frames.append((image, shown))
    return coco_document(frames) | {"videos": videos}


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
