"""Detections of a frame as the loader keeps them, which of them fill a clip's slots, and with
what."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import COCO_RULES, ClassRules
from orn.stage2_train.clip_store.crop import CropWindow
from orn.stage2_train.clips.object_slots import (
    FrameObjects,
    SlotSettings,
    class_vectors,
    fill_slots,
    objects_of_frames,
)
from tests.reference.class_vectors import class_vector
from tests.reference.coverage import coverage
from tests.worlds.shards import blocks


def detections(scores: list[float], *, class_scores: bool) -> FrameDetections:
    """Detections of labels 0, 1, ... on a 4 x 4 grid; mask n is column n."""
    objects = [(n, score, n, 0, n + 1, 4) for n, score in enumerate(scores)]
    return blocks(*objects, height=4, width=4, class_scores=class_scores)


def test_best_first_and_threshold() -> None:
    frames = [detections([0.5, 0.9, 0.2, 0.5], class_scores=True)]
    (objects,) = objects_of_frames(frames, COCO_RULES, score_threshold=0.5)
    assert objects.labels.tolist() == [1, 0, 3]  # equal scores keep their order
    assert objects.labels.dtype == np.int64
    assert len(objects) == 3


@given(
    seed=st.integers(0, 10**6),
    num_classes=st.sampled_from([1, 14, 80, 1203]),
    score_kind=st.sampled_from(["softmax", "sigmoid", "label"]),
)
def test_class_vectors_follow_the_rule_of_their_kind(seed, num_classes, score_kind) -> None:
    rng = np.random.default_rng(seed)
    frames, expected = [], []
    for number in (3, 0, 2):
        scores = rng.random((number, num_classes))
        if score_kind == "softmax":  # up to a sum above 1, as rounding makes it
            scores *= rng.choice([0.2, 0.999, 1.002], (number, 1)) / scores.sum(axis=1)[:, None]
        labels, best = scores.argmax(axis=1), scores.max(axis=1, initial=0)
        boxes = [(0, 0, 1, 1)] * number
        kept = {"labels": labels, "scores": best.astype(np.float32)}
        if score_kind != "label":
            kept["class_scores"] = scores.astype(np.float16)
        frames.append(FrameDetections.from_boxes(boxes, height=4, width=4, **kept))
        for row in range(number):
            known = kept.get("class_scores", kept["scores"])[row]
            expected.append(class_vector(known, labels[row], num_classes, score_kind))
    vectors = class_vectors(frames, ClassRules(num_classes=num_classes, score_kind=score_kind))
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, num_classes + 1)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_frames_together_are_as_frames_alone() -> None:
    frames = [
        detections(scores, class_scores=True)
        for scores in ([0.5, 0.9], [], [0.1, 0.8, 0.7], [0.2], [0.6])
    ]
    together = objects_of_frames(frames, COCO_RULES, score_threshold=0.3)
    assert [len(objects) for objects in together] == [2, 0, 2, 0, 1]
    for frame, objects in zip(frames, together, strict=True):
        (alone,) = objects_of_frames([frame], COCO_RULES, score_threshold=0.3)
        np.testing.assert_array_equal(objects.pieces.rows_4R, alone.pieces.rows_4R)
        for name in ("boxes", "class_scores", "labels"):
            np.testing.assert_array_equal(getattr(objects, name), getattr(alone, name))
    assert objects_of_frames([], COCO_RULES) == []


# Slots -----------------------------------------------------------------------------------------

FLOAT32_POSITIONS = 1e-5
WHOLE = CropWindow(x=0, y=0, size=(8, 8), stored=(8, 8))
SETTINGS = SlotSettings(max_objects=3, background=True, mask_size=4, feature_cells=(2, 2))


def objects_of(masks: list[np.ndarray], *, shape: tuple[int, int] = (8, 8)) -> FrameObjects:
    """Objects with the labels 0, 1, ... and falling scores."""
    num = len(masks)
    scores = np.linspace(0.9, 0.5, num, dtype=np.float32)
    box = np.array([[1, 2, min(5, shape[1]), min(6, shape[0])]], np.float32)
    detections = FrameDetections(
        height=shape[0],
        width=shape[1],
        boxes=np.tile(box, (num, 1)),
        scores=scores,
        labels=np.arange(num, dtype=np.uint16),
        class_scores=None,
        masks=tuple(rle.encode(mask) for mask in masks),
    )
    return objects_of_frames([detections], COCO_RULES)[0]


def rectangle(y1: int, x1: int, y2: int, x2: int) -> np.ndarray:
    """A mask on an 8 x 8 grid."""
    mask = np.zeros((8, 8), bool)
    mask[y1:y2, x1:x2] = True
    return mask


def test_one_object_and_its_background() -> None:
    slots = fill_slots([objects_of([rectangle(0, 0, 4, 2)])], WHOLE, SETTINGS)
    assert slots.valid.tolist() == [[True, True]]
    assert slots.labels.tolist() == [[0, 80]]
    expected = np.zeros((4, 4))
    expected[:2, 0] = 1
    np.testing.assert_allclose(slots.masks[0, 0], expected, atol=FLOAT32_POSITIONS)
    np.testing.assert_allclose(slots.masks[0, 1], 1 - expected, atol=FLOAT32_POSITIONS)
    np.testing.assert_allclose(
        slots.coverage[0], [[[0.5, 0], [0, 0]], [[0.5, 1], [1, 1]]], atol=FLOAT32_POSITIONS
    )
    assert slots.boxes[0].tolist() == [[1, 2, 5, 6], [0, 0, 8, 8]]
    np.testing.assert_allclose(slots.class_scores[0, 0, [0, 80]], [0.9, 0.1], atol=1e-6)
    assert slots.class_scores[0, 1].nonzero()[0].tolist() == [80]
    assert slots.class_scores[0, 1, 80] == 1


@pytest.mark.parametrize("cells", [(2, 2), (3, 5), (4, 2)])
@given(seed=st.integers(0, 10**6))
def test_masks_and_coverage_equal_loops(cells, seed) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(3, 12)), int(rng.integers(3, 12)))
    frames = [
        [rng.random(shape) < rng.choice([0.0, 0.2, 0.9]) for _ in range(rng.integers(0, 5))]
        for _ in range(2)
    ]
    window = CropWindow(x=3, y=2, size=(10, 12), stored=(16, 20))
    settings = SlotSettings(max_objects=3, background=True, mask_size=4, feature_cells=cells)
    slots = fill_slots([objects_of(masks, shape=shape) for masks in frames], window, settings)
    grid_window = window.on_grid(*shape)
    for time, masks in enumerate(frames):
        seen = [
            mask for mask in masks if coverage(mask, window=grid_window, cells=(1, 1)).item() > 0
        ][:3]
        left = ~np.any([*seen, np.zeros(shape, bool)], axis=0)
        if coverage(left, window=grid_window, cells=(1, 1)).item() > 0:
            seen.append(left)
        assert slots.valid[time].sum() == len(seen)
        for slot, mask in enumerate(seen):
            for values, size in ((slots.masks, (4, 4)), (slots.coverage, cells)):
                expected = coverage(mask, window=grid_window, cells=size)
                np.testing.assert_allclose(values[time, slot], expected, atol=FLOAT32_POSITIONS)
