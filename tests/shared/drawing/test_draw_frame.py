"""Frames drawn with their objects."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from orn.shared.drawing.draw_frame import MASK_OPACITY, DrawnObjects, draw_frame, gray_frame
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.pages.palette import class_color
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


def is_painted(picture: NDArray[np.uint8], label: int) -> NDArray[np.bool_]:
    gray = gray_frame(height=1, width=1)[0, 0].astype(float)
    expected = (1 - MASK_OPACITY) * gray + MASK_OPACITY * np.array(class_color(label))
    return np.abs(picture - expected).max(axis=2) < 3


def test_single_cells_stay() -> None:
    single, row = np.zeros((2, 20, 20), bool)
    single[15, 15] = row[10, 5:15] = True
    gray = gray_frame(height=600, width=600)
    for cover, place in ((single | row, (315, 300)), (single, (465, 465))):
        drawn = draw_frame(gray, objects(cover, labels=[0]), class_names=COCO_CLASSES)
        assert is_painted(drawn, 0)[place]


def test_no_objects_and_labels_without_a_name() -> None:
    gray = gray_frame(height=400, width=400)
    nothing = DrawnObjects.of(found(0))
    assert (draw_frame(gray, nothing, class_names=COCO_CLASSES) == gray).all()
    assert (draw_frame(gray, objects(disc(9), labels=[80]), class_names=("a",)) == gray).all()
    assert draw_frame(gray, nothing, class_names=(), size=(30, 20)).shape == (20, 30, 3)


def found(num: int) -> FrameDetections:
    scores = np.linspace(0, 1, num)
    return blocks(*((0, score, 1, 1, 5, 5) for score in scores), height=10, width=12)


def test_the_best_are_drawn_and_the_rest_is_told() -> None:
    assert len(DrawnObjects.of(found(11), score_threshold=0.5)) == 6
    many = DrawnObjects.of(found(100))
    assert (len(many), many.left_out) == (60, 40)
    assert many.scores.min() > 0.39
    gray = gray_frame(height=400, width=400)
    plain = draw_frame(gray, DrawnObjects.of(found(60)), class_names=COCO_CLASSES)
    told = draw_frame(gray, many, class_names=COCO_CLASSES)
    assert (told[380:, :200] != plain[380:, :200]).any()


def test_names_cover_neither_each_other_nor_the_caption() -> None:
    """A name without a free place next to its object is left out, that of the best object never."""
    gray = gray_frame(height=400, width=400)
    many = objects(*[np.zeros((9, 9), bool)] * 12, labels=[*range(11, -1, -1)])
    many = replace(many, boxes=np.tile(np.float32([3, 3, 6, 6]), (12, 1)), scores=many.labels / 20)
    nameless = replace(many, labels=many.labels + 80)
    drawn = draw_frame(gray, many, class_names=COCO_CLASSES, caption="a caption")
    solid = [(drawn == class_color(label)).all(axis=2).sum() for label in range(12)]
    assert solid[11] > 400
    assert 3 <= sum(pixels > 400 for pixels in solid) <= 6
    own = draw_frame(gray, nameless, class_names=COCO_CLASSES, caption="a caption")
    assert (drawn[378:, :60] == own[378:, :60]).all()
