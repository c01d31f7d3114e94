"""What is said and drawn of a clip that is shown."""

import re
from dataclasses import replace

import numpy as np
import pytest

from orn.shared.drawing.draw_frame import DrawnObjects
from orn.stage2_train.clips.object_slots import BACKGROUND
from orn.stage2_train.report.draw_clip import draw_clip, draw_frame_of_clip, frames_of_pair
from orn.stage2_train.report.importance import Pair
from orn.stage2_train.report.shown_clip import SeenObject, ShownClip, deciding_parts

NAMES = ("cup", "apple", "bed")


def seen(label: int, left: float = 0.0) -> SeenObject:
    name = (*NAMES, BACKGROUND)[label]
    return SeenObject(label=label, name=name, score=0.5, box=(left, 1, left + 3, 4))


def clip_of(*drops: float, slots: tuple[int, int] = (0, 0)) -> ShownClip:
    """Two frames of a cup, an apple and the background, in slots of other orders; pairs of these
    slots, by default the cup of frame 0 and the apple of frame 1, with these logit drops."""
    ordered = sorted(drops, reverse=True)
    return ShownClip(
        seconds=(0.0, 0.5),
        objects=((seen(0), seen(1, 4), seen(3)), (seen(1, 8), seen(3), seen(0))),
        grid=(12, 8),
        activity="move",
        pairs=tuple(Pair(frames=(0, 1), objects=slots, logit_drop=drop) for drop in ordered),
    )


def drawn(clip: ShownClip, *, against: bool = False) -> np.ndarray:
    """Both frames, one of them twice as large."""

    def scene(frame: int) -> tuple[np.ndarray, DrawnObjects]:
        return np.zeros((400 + 400 * frame, 600 + 600 * frame, 3), np.uint8), DrawnObjects.none()

    picture_HW3 = draw_clip(clip, scene, NAMES, frames=[0, 1], against=against)
    assert picture_HW3.shape == (400, 600 + 12 + 600, 3)
    return picture_HW3


@pytest.mark.parametrize(
    ("drops", "against", "words"),
    [
        ((0.019, -0.01), False, "No pair supports .move. by 0.02"),
        ((), True, "No pair opposes"),
        ((0.3, 0.5), False, "^Without .* .move. drops by 0.50. Without .* drops by 0.30.$"),
        ((0.3, -0.5), True, "move.* rises by 0.50"),
        ((0.01, -0.5), False, "No pair supports"),
    ],
)
def test_explanations_say_what_matters_and_where_nothing_does(drops, against, words) -> None:
    clip = clip_of(*drops)
    text = " ".join(clip.sentences(3, against=against))
    assert re.search(words, text)
    own = [drop for drop in drops if (drop < 0) == against and abs(drop) >= 0.02]
    assert ("Without cup at 0.00 s and apple at 0.50 s" in text) == bool(own)
    assert frames_of_pair(clip, against=against) == ([0, 1] if own else [])
    assert (drawn(clip, against=against) != drawn(clip_of())).any() == bool(own)


def test_a_pair_is_not_shown_long_after_its_time() -> None:
    """When its objects may have left."""

    def drawn_at(seconds: float, clip: ShownClip | None, **options: float) -> np.ndarray:
        image_HW3, nothing = np.zeros((60, 80, 3), np.uint8), DrawnObjects.none()
        shown = {"clip": clip, "seconds": seconds, "caption": ""}
        return draw_frame_of_clip(image_HW3, nothing, NAMES, **shown, **options)

    for seconds, is_shown in ((1.0, True), (2.0, False)):
        plain_HW3 = drawn_at(seconds, None)
        shown_HW3 = drawn_at(seconds, clip_of(1.0), reach_seconds=1.0)
        assert (shown_HW3 != plain_HW3).any() == is_shown
        assert (drawn_at(seconds, clip_of(1.0)) != plain_HW3).any()


def test_the_parts_that_decided_are_named() -> None:
    first, second = np.array([1.0, 0.0, 0.9]), np.array([0.0, 1.0, 0.9])
    logits = {"model": first, "activity_head": first, "object_head": second, "forest": first}
    for label, parts in ((0, ("activity_head", "forest")), (1, ("object_head",)), (2, ())):
        assert deciding_parts(logits, label) == parts
        clip = replace(clip_of(), decided_by=parts)
        assert all(part.replace("_", " ") in clip.decided_text() for part in parts)
        assert ("No part" in clip.decided_text()) == (not parts)
    assert deciding_parts({"object_head": first}, 0) is None
    assert clip_of().decided_text() == ""
