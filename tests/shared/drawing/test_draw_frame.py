"""Frames drawn with their objects, and letters of many scripts."""

import numpy as np
from numpy.typing import NDArray

from orn.shared.drawing.draw_frame import (
    DrawnObjects,
    draw_frame,
    gray_frame,
)
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from tests.worlds.shards import blocks


def objects(*covers: NDArray[np.bool_], labels: list[int]) -> DrawnObjects:
    return DrawnObjects(
        boxes=np.tile(np.float32([0, 0, 2, 2]), (len(covers), 1)),
        covers=np.stack(covers),
        labels=np.array(labels),
        scores=np.full(len(covers), 0.9, np.float32),
    )


def disc(size: int) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:size, :size]
    return np.hypot(rows - size / 2 + 0.5, columns - size / 2 + 0.5) < size / 3


def test_no_objects_and_labels_without_a_name() -> None:
    gray = gray_frame(height=400, width=400)
    nothing = DrawnObjects.of(detected(0))
    assert (draw_frame(gray, nothing, class_names=COCO_CLASSES)[0] == gray).all()
    assert (draw_frame(gray, objects(disc(9), labels=[80]), class_names=("a",))[0] == gray).all()
    picture_HW3, texts_HW = draw_frame(gray, nothing, class_names=(), caption="a", size=(30, 20))
    assert picture_HW3.shape == (20, 30, 3) and texts_HW.shape == (20, 30) and texts_HW.any()


def detected(num: int) -> FrameDetections:
    scores = np.linspace(0, 1, num)
    return blocks(*((0, score, 1, 1, 5, 5) for score in scores), height=10, width=12)


def test_the_best_are_drawn() -> None:
    assert len(DrawnObjects.of(detected(11), score_threshold=0.5)) == 6
    many = DrawnObjects.of(detected(100))
    assert len(many) == 60 and many.scores.min() > 0.39
