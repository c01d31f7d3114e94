"""Write films as MP4 files and their ground truth as COCO files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from orn.demo.world.cast import FRAMES_PER_SECOND, HEIGHT, WIDTH, category_id
from orn.demo.world.render_film import RenderedFrame, render
from orn.demo.world.scene import Scene
from orn.shared.jobs.atomic_file import replacing
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.rle import encode_crop

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
