"""Pictures of a window of a video: two frames joined by lines, and all side by side."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from orn.shared.drawing.frame import DrawnObjects, draw_frame
from orn.shared.errors import VideoDecodeError
from orn.shared.inspect.pictures import pictures_at
from orn.shared.manifests.records import Video
from orn.shared.manifests.source import source_of
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.shards.reader import VideoDetections
from orn.shared.video.reader import VideoReader
from orn.stage2_train.insight.clip_pictures import (
    MOST_FRAMES,
    MOST_LINES,
    Line,
    frame_pair,
    join_panels,
    spread,
    strip,
    webp,
)
from orn.stage2_train.insight.explained import BACKGROUND
from orn.stage2_train.insight.page_pictures import Picture
from orn.stage2_train.predict.records import SeenObject, WindowPrediction
from orn.stage2_train.runs.trained import OpenedModel

_TALLEST = 200
"""Rows of the frames side by side."""
_STRIP_RANK = 1000
"""These come after all pairs of frames."""
_LISTED_OBJECTS = 12
_TOP = (0.5, 0.06)
"""Where the background, which is everywhere, is pointed at."""


def window_pictures(
    model: OpenedModel,
    video: Video,
    detections: VideoDetections,
    window: WindowPrediction,
    *,
    key: str,
    rank: int,
) -> tuple[Picture, Picture]:
    """Draw the two frames of a window whose pairs count most, and its frames side by side, all with
    their objects.

    Args:
        model: what predicted.
        video: what was looked at.
        detections: of its frames.
        window: with pairs where the network relates objects.
        key: of the second picture; that of the first is `KEY-pair`.
        rank: of the first picture.

    Raises:
        VideoDecodeError: if the video can no longer be decoded.
        ShardFormatError: if detections are damaged.
    """
    lines = _lines(window, detections)
    panels = frame_pair(lines, len(window.frames))
    shown = spread(len(window.frames), MOST_FRAMES)
    threshold = model.config.recipe.data.score_threshold
    drawn = dict(_drawn(video, detections, window, {*panels, *shown}, threshold))
    joined = join_panels(lines, drawn.__getitem__, num_frames=len(window.frames))
    alt = f"Frames of {window.times()} with the objects in them"
    frames = [drawn[place] for place in shown]
    return (
        Picture(key=f"{key}-pair", data=webp(joined), alt=alt, rank=rank),
        strip(frames, key=key, rank=rank + _STRIP_RANK, tallest=_TALLEST),
    )


def seen_words(window: WindowPrediction) -> str:
    """Return what the network was shown with its best scores, such as `cup 0.98, person 0.91`."""
    best: dict[str, float] = {}
    for each in (each for frame in window.objects for each in frame):
        if each.name != BACKGROUND:
            best[each.name] = max(best.get(each.name, 0.0), each.score)
    seen = sorted(best.items(), key=lambda each: -each[1])[:_LISTED_OBJECTS]
    return ", ".join(f"{name} {score:.2f}" for name, score in seen) or "nothing"


def _drawn(
    video: Video,
    detections: VideoDetections,
    window: WindowPrediction,
    wanted: set[int],
    score_threshold: float,
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield some frames of a window with their objects, all of one size."""
    order = sorted(wanted)
    size: tuple[int, int] | None = None
    reader = VideoReader(source_of(video), rate=video.rate, kept_bytes=0)
    images = pictures_at(reader, (window.frames[each] for each in order))
    for each, image in zip(order, images, strict=True):
        if image is None:
            raise VideoDecodeError(
                f"{video.path}: expected frame {window.frames[each]}, got none; predict it again"
            )
        row = int(detections.nearest_rows([window.seconds[each]])[0])
        picture_HW3 = draw_frame(
            image,
            DrawnObjects.of(detections.frame(row), score_threshold=score_threshold),
            class_names=COCO_CLASSES,
            caption=f"{window.seconds[each]:.2f} s",
            size=size,
        )
        size = picture_HW3.shape[1], picture_HW3.shape[0]
        yield each, picture_HW3


def _lines(window: WindowPrediction, detections: VideoDetections) -> list[Line]:
    """Return the pairs of a window as they are drawn."""
    grid = (detections.video.width, detections.video.height)
    lines = []
    for pair in (window.pairs or ())[:MOST_LINES]:
        places = [*zip(pair.frames, pair.objects, strict=True)]
        objects = [window.objects[frame][place] for frame, place in places]
        lines.append(
            Line(
                points=tuple(
                    (frame, *_centre(each, grid))
                    for frame, each in zip(pair.frames, objects, strict=True)
                ),
                drop=pair.fall,
                words=tuple(BACKGROUND if each.name == BACKGROUND else "" for each in objects),
            )
        )
    return [each for each in lines if each.drop > 0]


def _centre(seen: SeenObject, grid: tuple[int, int]) -> tuple[float, float]:
    """Return a place as shares of the width and the height."""
    if seen.name == BACKGROUND:
        return _TOP
    x1, y1, x2, y2 = seen.box
    return (x1 + x2) / 2 / grid[0], (y1 + y2) / 2 / grid[1]
