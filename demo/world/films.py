"""A film as an H.264 MP4 file, and what it truly shows: the COCO format with videos, tracks and
relations added."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from orn.demo.world.dials import (
    ACTIVITIES,
    FRAMES_PER_SECOND,
    HEIGHT,
    SURFACES,
    WIDTH,
    Dials,
    category_id,
)
from orn.demo.world.render import RenderedFrame, render
from orn.demo.world.scene import Scene
from orn.shared.config.bounded import read_json
from orn.shared.errors import DataRootError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.rle import encode_crop

_MIN_VISIBLE_PIXELS = 20
_MIN_VISIBLE_SHARE = 0.25
TRUTH_BYTES = 1 << 30
"""Most of a file of ground truth that is read."""
_IMAGES_A_VIDEO = 100_000
"""Image number = video number x this + frame index."""

# Without B frames and lookahead: with them x264's output was seen to change from run to run for
# the same pictures of this size.
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
    """The ground truth of one film, as plain JSON values."""

    video_id: str
    frames: Frames
    """Without image numbers; track numbers count through the film."""
    relations: list[dict[str, Any]]
    """`scene.Relation` fields and the activity's name; frames count from the film's beginning."""
    touched: list[str]
    """Classes of the objects that a hand touches, sorted."""
    label: str | None = None
    """Of a film whose label is none of these."""
    surface: str | None = None
    """Of the table, where the label names it."""


def write_film(path: Path, scenes: Sequence[Scene], dials: Dials) -> FilmTruth:
    """Renders scenes one after another into one MP4 file, whose name is the film's id; returns what
    it truly shows. Tracks and frames of later scenes are counted on.

    The file appears under its name only when it is whole. Frames are 160 x 120, 8 frames/s.
    """
    frames: Frames = []
    relations, touched, first_track = [], set[str](), 0
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(FRAMES_PER_SECOND))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.options = _ENCODER
        for scene in scenes:
            for relation in scene.relations:
                entry = asdict(relation) | {"name": ACTIVITIES[relation.activity]}
                for key, first in (("track", first_track), ("frame", len(frames))):
                    entry |= {name: entry[name] + first for name in entry if name.endswith(key)}
                relations.append(entry)
            touched |= {scene.actors[track].class_name for track in scene.touched}
            for rendered in render(scene, dials):
                frames.append(frame_annotations(rendered, scene, first_track=first_track))
                picture = av.VideoFrame.from_ndarray(rendered.image, format="rgb24")
                container.mux(stream.encode(picture))
            first_track += len(scene.actors)
        container.mux(stream.encode())
    return FilmTruth(
        video_id=path.stem,
        frames=frames,
        relations=relations,
        touched=sorted(touched),
        label=scenes[0].label,
        surface=None if scenes[0].surface is None else SURFACES[scenes[0].surface],
    )


def frame_annotations(
    rendered: RenderedFrame, scene: Scene, *, first_track: int = 0
) -> list[Annotation]:
    """COCO annotations of one frame, without ids: the visible part of every object.

    An object of which less than 20 pixels or a quarter can be seen is marked `iscrowd`, which
    COCO's evaluation leaves out: it is neither asked for nor held against a detector.
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
                "track_id": first_track + track,
                "bbox": [x, y, crop.shape[1], crop.shape[0]],
                "area": area,
                "iscrowd": int(hidden),
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": counts.decode("ascii")},
            }
        )
    return annotations


def coco_document(frames: Iterable[tuple[dict[str, Any], list[Annotation]]]) -> dict[str, Any]:
    """COCO's images, annotations and categories, from what is said of each image and what is in
    it."""
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
    """The ground truth of a part: `coco_document` of all frames, and videos with their
    relations."""
    frames, videos = [], []
    for number, film in enumerate(films):
        video = {"id": number, "name": film.video_id}
        video |= {"relations": film.relations, "touched": film.touched}
        told = {"label": film.label, "surface": film.surface}
        videos.append(video | {key: value for key, value in told.items() if value is not None})
        for index, shown in enumerate(film.frames):
            image = {
                "id": number * _IMAGES_A_VIDEO + index,
                "video_id": number,
                "file_name": f"videos/{film.video_id}.mp4",
                "frame_index": index,
                "seconds": index / FRAMES_PER_SECOND,
                "height": HEIGHT,
                "width": WIDTH,
            }
            frames.append((image, shown))
    return coco_document(frames) | {"videos": videos}


def true_films(folder: Path, part: str) -> dict[str, FilmTruth]:
    """The films of one part of a drawn data set by their id.

    Raises:
        DataRootError: the part has no ground truth.
    """
    path = folder / "ground_truth" / f"{part}.json"
    if not path.is_file():
        raise DataRootError(
            f"{path}: wanted the ground truth of the {part} films, found none; `orn demo world` "
            "draws it, with --films TRAIN,VALIDATION,TEST as many as are wanted"
        )
    document = read_json(path, most_bytes=TRUTH_BYTES)
    by_image: dict[int, list[Annotation]] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    frames: dict[int, Frames] = {}
    for image in document["images"]:  # in the order of films and frames
        frames.setdefault(image["video_id"], []).append(by_image[image["id"]])
    return {
        video["name"]: FilmTruth(
            video_id=video["name"],
            frames=frames[video["id"]],
            relations=video["relations"],
            touched=video["touched"],
            label=video.get("label"),
            surface=video.get("surface"),
        )
        for video in document["videos"]
    }
