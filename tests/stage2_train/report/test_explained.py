"""What is drawn of an explained clip."""

import re

import numpy as np
import pytest

from orn.stage2_train.explanation.explained import ExplainedClip, draw_pairs
from orn.stage2_train.explanation.importance import ClipPairs
from orn.stage2_train.report.cases import explanation

NAMES = ("cup", "apple")


def clip_of(*drops: float, slots: tuple[int, int] = (0, 0)) -> ExplainedClip:
    """Two frames of a cup, an apple and the background, in slots of other orders; pairs of these
    slots, by default the cup of frame 0 and the apple of frame 1, with these logit drops."""
    rng, number = np.random.default_rng(0), len(drops)
    return ExplainedClip(
        id="film/1",
        activity=0,
        frames_THW3=np.zeros((2, 8, 12, 3), np.uint8),
        masks_TKhw=rng.random((2, 3, 4, 4), np.float32),
        boxes_TK4=rng.random((2, 3, 4), np.float32),
        labels_TK=np.array([[0, 1, 2], [1, 2, 0]]),
        scores_TK=rng.random((2, 3), np.float32),
        valid_TK=np.array([[True, True, True], [True, True, False]]),
        background=2,
        pairs=ClipPairs(
            frames_nP=np.array([[0], [1]]).repeat(number, axis=1),
            slots_nP=np.array(slots)[:, None].repeat(number, axis=1),
            logit_drop_P=np.array(drops),
        ),
        decided_by=None,
    )


@pytest.mark.parametrize("frame", [0, 1])
def test_a_frame_is_drawn_with_its_own_objects(frame) -> None:
    clip = clip_of()
    slots = ([0, 1], [0])[frame]
    drawn = clip.drawn_objects(frame)
    np.testing.assert_array_equal(drawn.covers, clip.masks_TKhw[frame, slots])
    np.testing.assert_array_equal(drawn.labels, clip.labels_TK[frame, slots])
    np.testing.assert_array_equal(drawn.scores, clip.scores_TK[frame, slots])
    cells = clip.boxes_TK4[frame, slots] * np.array([4 / 12, 4 / 8] * 2, np.float32)
    np.testing.assert_allclose(drawn.boxes, cells)


@pytest.mark.parametrize(
    ("drops", "against", "words"),
    [
        ((0.019, -0.01), False, "No pair .* 0.02"),
        ((), True, "No pair .* 0.02"),
        ((0.3, 0.5), False, "move.* drops by 0.50 without .*, by 0.30 without"),
        ((0.3, -0.5), True, "move.* rises by 0.50"),
        ((0.01, -0.5), False, "move.* rises by 0.50"),
    ],
)
def test_explanations_say_what_matters_and_where_nothing_does(drops, against, words) -> None:
    clip = clip_of(*drops)
    text = explanation(clip, NAMES, "move", against=against)
    assert re.search(words, text)
    assert text.startswith("No pair") or "cup (frame 1) and apple (frame 2)" in text
    nothing = draw_pairs(clip_of(), NAMES)
    changed = (draw_pairs(clip, NAMES, against=against) != nothing).any()
    own = [drop for drop in drops if (drop < 0) == against]
    assert changed == any(abs(drop) >= 0.02 for drop in own)


def test_the_background_is_named_the_whole_frame_and_not_drawn() -> None:
    clip = clip_of(0.5, slots=(2, 0))
    text = explanation(clip, NAMES, "move", against=False)
    assert "without the whole frame (frame 1) and apple (frame 2)" in text
    np.testing.assert_array_equal(draw_pairs(clip, NAMES), draw_pairs(clip_of(), NAMES))
