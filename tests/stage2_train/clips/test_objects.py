"""Detections of a frame as the loader keeps them."""

import numpy as np

from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections
from orn.stage2_train.clips.objects import class_vectors, objects_of_frames

HALF_FLOAT = 1e-3  # class scores are stored in float16


def detections(scores: list[float], *, class_scores: bool) -> FrameDetections:
    """Detections of labels 0, 1, ... on a 4 x 4 grid; mask n is column n."""
    num = len(scores)
    masks = [np.arange(4)[None, :].repeat(4, axis=0) == column for column in range(num)]
    rows = np.zeros((num, 80), np.float16)
    rows[np.arange(num), np.arange(num)] = scores
    rows[:, 79] = 0.05
    return FrameDetections(
        height=4,
        width=4,
        boxes=np.tile(np.array([[0, 0, 1, 4]], np.float32), (num, 1)),
        scores=np.array(scores, np.float32),
        labels=np.arange(num, dtype=np.uint8),
        class_scores=rows if class_scores else None,
        masks=tuple(rle.encode(mask) for mask in masks),
    )


def test_best_first_and_threshold() -> None:
    frames = [detections([0.5, 0.9, 0.2, 0.5], class_scores=True)]
    (objects,) = objects_of_frames(frames, score_threshold=0.5)
    assert objects.labels.tolist() == [1, 0, 3]  # equal scores keep their order
    assert objects.labels.dtype == np.int64
    assert objects.pieces.column_R.tolist() == [1, 0, 3]
    assert objects.pieces.owner_R.tolist() == [0, 1, 2]
    assert len(objects) == 3
    assert objects.size_bytes == 1000 + 3 * (16 + 81 * 4 + 8 + 16)


def test_class_vectors_add_up_to_one() -> None:
    vectors = class_vectors([detections([0.5, 0.9], class_scores=True)])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors.sum(axis=1), 1, atol=HALF_FLOAT)
    np.testing.assert_allclose(vectors[0, [0, 79, 80]], [0.5, 0.05, 0.45], atol=HALF_FLOAT)


def test_class_vectors_without_class_scores() -> None:
    vectors = class_vectors([detections([0.5, 0.9], class_scores=False)])
    np.testing.assert_allclose(vectors[1, [0, 1, 80]], [0, 0.9, 0.1], atol=1e-6)
    np.testing.assert_allclose(vectors.sum(axis=1), 1, atol=1e-6)


def test_background_is_never_negative() -> None:
    vectors = class_vectors([detections([1.0], class_scores=True)])  # 1.05 in all
    assert vectors[0, 80] == 0


def test_no_detections() -> None:
    assert objects_of_frames([]) == []
    (objects,) = objects_of_frames([detections([], class_scores=True)])
    assert len(objects) == 0
    assert objects.class_scores.shape == (0, 81)
    assert len(objects.pieces) == 0


def test_frames_together_are_as_frames_alone() -> None:
    frames = [
        detections(scores, class_scores=True)
        for scores in ([0.5, 0.9], [], [0.1, 0.8, 0.7], [0.2], [0.6])
    ]
    together = objects_of_frames(frames, score_threshold=0.3)
    for frame, objects in zip(frames, together, strict=True):
        (alone,) = objects_of_frames([frame], score_threshold=0.3)
        for name in ("boxes", "class_scores", "labels"):
            np.testing.assert_array_equal(getattr(objects, name), getattr(alone, name))
        for name in ("owner_R", "column_R", "top_R", "bottom_R"):
            np.testing.assert_array_equal(
                getattr(objects.pieces, name), getattr(alone.pieces, name)
            )
