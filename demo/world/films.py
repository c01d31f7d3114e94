"""Writes a planned film as an H.264 MP4 file and keeps what each frame truly shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from demo.world.dials import FRAMES_PER_SECOND, HEIGHT, WIDTH, Dials, category_id
from demo.world.render import RenderedFrame, render
from demo.world.scene import Scene
from shared.jobs.atomic_file import replacing
from shared.masks.rle import encode_crop

_MIN_VISIBLE_PIXELS = 20
_MIN_VISIBLE_SHARE = 0.25

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


def write_film(path: Path, scenes: Sequence[Scene], dials: Dials) -> list[list[Annotation]]:
    """Render scenes one after another into one MP4 file; the ground truth of each frame comes back.

    The file appears under its name only when it is whole. Frames are 160 x 120, 8 frames/s.
    """
    truth: list[list[Annotation]] = []
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(FRAMES_PER_SECOND))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.options = _ENCODER
        for rendered, scene in _rendered(scenes, dials):
            truth.append(frame_annotations(rendered, scene))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rendered.image, format="rgb24")))
        container.mux(stream.encode())
    return truth


def _rendered(scenes: Sequence[Scene], dials: Dials) -> Iterator[tuple[RenderedFrame, Scene]]:
    for scene in scenes:
        for rendered in render(scene, dials):
            yield rendered, scene


def frame_annotations(rendered: RenderedFrame, scene: Scene) -> list[Annotation]:
    """COCO annotations of one frame, without ids: the visible part of every object.

    An object of which less than 20 pixels or a quarter can be seen is marked `iscrowd`, which
    COCO's evaluation leaves out: it is neither asked for nor held against a detector.
    """
    annotations = []
    for track, actor in enumerate(scene.actors):
        visible_HW = rendered.track_HW == track
        rows, columns = (
            np.flatnonzero(visible_HW.any(axis=1)),
            np.flatnonzero(visible_HW.any(axis=0)),
        )
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
                "track_id": track,
                "bbox": [x, y, crop.shape[1], crop.shape[0]],
                "area": area,
                "iscrowd": int(hidden),
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": counts.decode("ascii")},
            }
        )
    return annotations
