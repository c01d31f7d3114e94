"""What a page shows of a look at a part of a video: its two most telling frames, joined by the
lines of the pairs that decided, small ones over its time, and in words why.

H W the picture.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from orn.shared.drawing.frame import DrawnObjects, draw_frame
from orn.shared.errors import VideoDecodeError
from orn.shared.inspect.pictures import sought_pictures
from orn.shared.manifests.records import Video
from orn.shared.manifests.source import source_of
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.shards.reader import VideoDetections
from orn.stage2_train.insight.clip_pictures import Line, frame_pair, join_panels, webp
from orn.stage2_train.insight.explained import BACKGROUND
from orn.stage2_train.insight.report_page import Picture, decided_lines, shown
from orn.stage2_train.predict.records import SeenObject, WindowPrediction
from orn.stage2_train.predict.timeline import bars
from orn.stage2_train.runs.trained import OpenedModel

PAIRS_SHOWN = 8
"""That are joined by lines in a picture."""
LISTED_CLASSES = 5
_STRIP_FRAMES, _STRIP_WIDTH = 12, 260
_STRIP_RANK = 1000
"""Small pictures come after all large ones."""
_LISTED_OBJECTS = 12
_LISTED_PAIRS = 3
DASH = "\u2013"
_TOP = (0.5, 0.06)
"""Where the background, which is everywhere, is pointed at."""


def look(
    address: str,
    model: OpenedModel,
    video: Video,
    detections: VideoDetections,
    window: WindowPrediction,
    *,
    rank: int,
) -> Iterator[str | Picture]:
    """The pictures of a window, and what is said of it.

    Args:
        address: the id that links lead to.
        model: what predicted.
        video: what was looked at.
        detections: of its frames.
        window: the look, with pairs where the network relates objects.
        rank: of its pictures, low ones are kept first.

    Raises:
        VideoDecodeError: if the video can no longer be decoded.
        ShardFormatError: if detections are damaged.
    """
    lines = _lines(window, detections)
    panels = frame_pair(lines, len(window.frames))
    strip = spread(len(window.frames), _STRIP_FRAMES)
    large: dict[int, NDArray[np.uint8]] = {}
    small = []
    threshold = model.config.recipe.data.score_threshold
    for place, picture_HW3 in _drawn(video, detections, window, {*panels, *strip}, threshold):
        if place in panels:
            large[place] = picture_HW3
        if place in strip and len(strip) > 2:
            seconds, names = window.seconds[place], _names(window, place)
            small.append(
                Picture(
                    key=f"{address}-{place}",
                    data=webp(picture_HW3, widest=_STRIP_WIDTH, quality=60),
                    media="image/webp",
                    alt=f"{seconds:.2f} s: {names or 'nothing found'}",
                    rank=rank + _STRIP_RANK,
                )
            )
    joined = join_panels(lines, large.__getitem__, num_frames=len(window.frames))
    first = f"; lines join {window.words(window.pairs[0])}" if lines and window.pairs else ""
    times = window.times(DASH)
    yield f'<div class="look" id="{address}"><figure>'
    yield Picture(
        key=address,
        data=webp(joined),
        media="image/webp",
        alt=f"Frames of {times} with the objects in them{first}",
        rank=rank,
    )
    says = f"{shown(model.classes[window.label], 80)} {window.probabilities[window.label]:.2f}"
    yield f"<figcaption><b>{times}: {says}</b></figcaption></figure>"
    likeliest = bars(window.probabilities, model.classes, LISTED_CLASSES)
    yield f'<div class="beside">{likeliest}{_why(window)}</div><div class="film">'
    yield from small
    yield "</div></div>"


def spread(count: int, most: int) -> list[int]:
    """At most so many places of `count`, evenly."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()


def _drawn(
    video: Video,
    detections: VideoDetections,
    window: WindowPrediction,
    wanted: set[int],
    score_threshold: float,
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Some frames of a window with their objects, all of one size."""
    order = sorted(wanted)
    size: tuple[int, int] | None = None
    images = sought_pictures(source_of(video), video.rate, [window.frames[each] for each in order])
    for each, image in zip(order, images, strict=True):
        if image is None:
            raise VideoDecodeError(f"{video.path}: wanted frame {window.frames[each]}, found none")
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


def _why(window: WindowPrediction) -> str:
    """The pairs that decided, in words, and what the network saw."""
    lines = [
        f"Its logit falls by {pair.fall:.2f} without {shown(window.words(pair))}."
        for pair in (window.pairs or ())[:_LISTED_PAIRS]
    ]
    best: dict[str, float] = {}
    for each in (each for frame in window.objects for each in frame):
        if each.name != BACKGROUND:
            best[each.name] = max(best.get(each.name, 0.0), each.score)
    seen = sorted(best.items(), key=lambda each: -each[1])[:_LISTED_OBJECTS]
    lines += decided_lines(window.decided_by, seen)
    return f"<p>{'<br>'.join(lines)}</p>"


def _lines(window: WindowPrediction, detections: VideoDetections) -> list[Line]:
    """The pairs of a window, as they are drawn."""
    grid = (detections.video.width, detections.video.height)
    return [
        Line(
            points=tuple(
                (frame, *_centre(window.objects[frame][place], grid))
                for frame, place in zip(pair.frames, pair.objects, strict=True)
            ),
            fall=pair.fall,
            words=tuple(
                BACKGROUND if window.objects[frame][place].name == BACKGROUND else ""
                for frame, place in zip(pair.frames, pair.objects, strict=True)
            ),
        )
        for pair in (window.pairs or ())[:PAIRS_SHOWN]
        if pair.fall > 0
    ]


def _centre(seen: SeenObject, grid: tuple[int, int]) -> tuple[float, float]:
    """As shares of the width and the height."""
    if seen.name == BACKGROUND:
        return _TOP
    x1, y1, x2, y2 = seen.box
    return (x1 + x2) / 2 / grid[0], (y1 + y2) / 2 / grid[1]


def _names(window: WindowPrediction, place: int) -> str:
    names = [each.name for each in window.objects[place] if each.name != BACKGROUND]
    return ", ".join(names[:_LISTED_OBJECTS])
