"""Detections of a frame as the loader keeps them."""

import numpy as np
import pytest

from orn.shared.masks.detections import FrameDetections
from orn.stage2_train.clips.objects import class_vectors, objects_of_frames
from tests.worlds.shards import blocks

HALF_FLOAT = 1e-3  # class scores are stored in float16


def detections(scores: list[float], *, class_scores: bool) -> FrameDetections:
    """Detections of labels 0, 1, ... on a 4 x 4 grid; mask n is column n."""
    found = [(n, score, n, 0, n + 1, 4) for n, score in enumerate(scores)]
    return blocks(*found, height=4, width=4, class_scores=class_scores)


def test_best_first_and_threshold() -> None:
    frames = [detections([0.5, 0.9, 0.2, 0.5], class_scores=True)]
    (objects,) = objects_of_frames(frames, score_threshold=0.5)
    assert objects.labels.tolist() == [1, 0, 3]  # equal scores keep their order
    assert objects.labels.dtype == np.int64
    assert objects.pieces.column_R.tolist() == [1, 0, 3]
    assert objects.pieces.owner_R.tolist() == [0, 1, 2]
    assert len(objects) == 3
    assert objects.size_bytes == 1000 + 3 * (16 + 81 * 4 + 8 + 16)


@pytest.mark.parametrize(
    ("class_scores", "expected"),
    [(True, [0, 0.9, 0.05, 0.05]), (False, [0, 0.9, 0, 0.1])],  # half of the rest, or none
)
def test_class_vectors_add_up_to_one(class_scores, expected) -> None:
    vectors = class_vectors([detections([0.5, 0.9], class_scores=class_scores)])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors.sum(axis=1), 1, atol=HALF_FLOAT)
    np.testing.assert_allclose(vectors[1, [0, 1, 2, 80]], expected, atol=HALF_FLOAT)


def test_background_is_never_negative() -> None:
    found = detections([1.0], class_scores=True)
    found.class_scores[0, 1] = 0.05  # 1.05 in all
    assert class_vectors([found])[0, 80] == 0


def test_frames_together_are_as_frames_alone() -> None:
    frames = [
        detections(scores, class_scores=True)
        for scores in ([0.5, 0.9], [], [0.1, 0.8, 0.7], [0.2], [0.6])
    ]
    together = objects_of_frames(frames, score_threshold=0.3)
    assert [len(objects) for objects in together] == [2, 0, 2, 0, 1]
    for frame, objects in zip(frames, together, strict=True):
        (alone,) = objects_of_frames([frame], score_threshold=0.3)
        np.testing.assert_array_equal(objects.pieces.rows_4R, alone.pieces.rows_4R)
        for name in ("boxes", "class_scores", "labels"):
            np.testing.assert_array_equal(getattr(objects, name), getattr(alone, name))
    assert objects_of_frames([]) == []
