"""What is drawn of an explained clip."""

import numpy as np
import pytest

from orn.stage2_train.insight.explained import ExplainedClip

NAMES = ("cup", "apple")


@pytest.mark.parametrize("frame", [0, 1])
def test_a_frame_is_drawn_with_its_own_objects(frame) -> None:
    """Two frames of a cup, an apple and the background, in slots of other orders."""
    rng = np.random.default_rng(0)
    clip = ExplainedClip(
        id="film/1",
        activity=0,
        frames_THW3=np.zeros((2, 8, 12, 3), np.uint8),
        masks_TKhw=rng.random((2, 3, 4, 4), np.float32),
        boxes_TK4=rng.random((2, 3, 4), np.float32),
        labels_TK=np.array([[0, 1, 2], [1, 2, 0]]),
        scores_TK=rng.random((2, 3), np.float32),
        valid_TK=np.array([[True, True, True], [True, True, False]]),
        frames_nP=np.zeros((2, 0), np.int64),
        slots_nP=np.zeros((2, 0), np.int64),
        activation_P=np.zeros(0),
        fall_P=np.zeros(0),
        decided_by=None,
    )
    slots = ([0, 1], [0])[frame]
    drawn = clip.drawn_objects(frame, NAMES)
    np.testing.assert_array_equal(drawn.covers, clip.masks_TKhw[frame, slots])
    np.testing.assert_array_equal(drawn.labels, clip.labels_TK[frame, slots])
    np.testing.assert_array_equal(drawn.scores, clip.scores_TK[frame, slots])
    cells = clip.boxes_TK4[frame, slots] * np.array([4 / 12, 4 / 8] * 2, np.float32)
    np.testing.assert_allclose(drawn.boxes, cells)
