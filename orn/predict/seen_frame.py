"""A frame of a video with its objects and the pair that explains a prediction, in films and pages.

H W size of the picture.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from orn.predict.prediction import WindowPrediction
from orn.shared.drawing.draw_frame import FONT_SHARE, DrawnObjects, draw_frame, draw_text, text_size
from orn.shared.errors import JoinError
from orn.shared.shards.detection_folder import VideoDetections
from orn.stage2_train.explanation.scale import line_width
from orn.stage2_train.runs.trained import OpenedModel

_NOW_SECONDS = 0.1
"""Maximum distance in time at which an object of a pair is drawn as present."""
_DASH = 12
"""Length of a dash, and of a gap, in pixels."""
_WHITE, _RIM = (255, 255, 255), (20, 20, 20)


def draw_seen_frame(
    image_HW3: NDArray[np.uint8],
    seconds: float,
    detections: VideoDetections,
    model: OpenedModel,
    *,
    window: WindowPrediction | None,
    caption: str,
    size: tuple[int, int] | None = None,
    font_share: float = FONT_SHARE,
) -> NDArray[np.uint8]:
    """Return a frame with its objects, and with the most important pair of a window.

    Args:
        image_HW3: (H, W, 3) uint8 RGB.
        seconds: time of the frame.
        detections: objects in the frames of the video; a frame that is near none of them is drawn
            without objects.
        model: model that made the predictions.
        window: the window; None to draw no pair.
        caption: text in the lower left corner.
        size: as for `draw_frame`.
        font_share: as for `draw_frame`.

    Raises:
        ShardFormatError: if detections are damaged.
    """
    picture = draw_frame(
        image_HW3,
        _objects_at(detections, seconds, model.config.recipe.data.score_threshold),
        class_names=model.detector_classes,
        caption=caption,
        size=size,
        font_share=font_share,
    )
    if window is not None:
        grid = detections.video.width, detections.video.height
        _draw_pair(picture, window, seconds, grid, font_share)
    return picture


def _objects_at(
    detections: VideoDetections, seconds: float, score_threshold: float
) -> DrawnObjects:
    try:
        (row,) = detections.nearest_rows([seconds]).tolist()
    except JoinError:
        return DrawnObjects.none()
    return DrawnObjects.of(detections.frame(row), score_threshold=score_threshold)


def _draw_pair(
    picture_HW3: NDArray[np.uint8],
    window: WindowPrediction,
    seconds: float,
    grid: tuple[int, int],
    font_share: float,
) -> None:
    """Draw the boxes of the most important pair, and a line for its logit drop.

    The box of an object at another time is dashed and has its name and time. The whole frame has no
    box. Boxes are in pixels of a grid of any size, given as (width, height).
    """
    height, width, _ = picture_HW3.shape
    per_cell = np.array([width / grid[0], height / grid[1]] * 2)
    for pair in window.shown_pairs(1):
        centers = []
        for number, (seen, at) in enumerate(window.members(pair)):
            if seen.is_whole_frame:
                continue
            x1, y1, x2, y2 = (np.array(seen.box) * per_cell).round().astype(int).tolist()
            box = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)])
            centers.append(((x1 + x2) // 2, (y1 + y2) // 2))
            if abs(at - seconds) <= _NOW_SECONDS:
                _draw_lines(picture_HW3, [box], thickness=3)
                continue
            _draw_lines(picture_HW3, list(_dashes(box)), thickness=2)
            text, pixels = f"{seen.title} {at:.2f} s", max(13, round(font_share * height))
            wide, tall = text_size(text, pixels)
            left, top = max(min(x1, width - wide), 0), y1 if number else y2 - tall
            top = max(min(top, height - tall), 0)
            picture_HW3[top : top + tall, left : left + wide] = _RIM
            draw_text(picture_HW3, text, left, top, pixels=pixels, color=_WHITE)
        for ends in pairwise(np.array(centers)):
            if np.abs(np.subtract(*ends)).max() > _DASH:
                thickness = line_width(pair.logit_drop, height)
                _draw_lines(picture_HW3, [np.array(ends)], thickness=thickness)


def _draw_lines(
    picture_HW3: NDArray[np.uint8], lines: Sequence[NDArray[np.int64]], *, thickness: int
) -> None:
    """Draw white lines with a dark rim through (n, 2) points."""
    points = [line.astype(np.int32) for line in lines]
    for color, width in ((_RIM, thickness + 2), (_WHITE, thickness)):
        cv2.polylines(picture_HW3, points, False, color, width, cv2.LINE_AA)


def _dashes(corners_n2: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield the dashes of a line through (n, 2) points, each as its two ends."""
    for start, stop in pairwise(corners_n2):
        number = max(int(np.abs(stop - start).max()) // (2 * _DASH), 1)
        for at in range(number):
            ends = np.array([[at], [at + 0.5]]) / number
            yield (start + ends * (stop - start)).round().astype(np.int64)
