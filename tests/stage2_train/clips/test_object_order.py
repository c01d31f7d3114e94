"""Persons first, and everything of a detection moves with it."""

import numpy as np
import pytest

from orn.shared.masks.validate import COCO_RULES
from orn.stage2_train.clip_store.crop import CropWindow
from orn.stage2_train.clips.object_slots import (
    FrameObjects,
    SlotSettings,
    fill_slots,
    objects_of_frames,
    with_persons_first,
)
from tests.worlds.shards import PERSON, blocks

WHOLE = CropWindow(x=0, y=0, size=(8, 8), stored=(8, 8))
LABELS = [39, 0, 41, 0, 56, 60]


def objects_of(labels: list[int]) -> FrameObjects:
    """Detections of falling scores; that at place n covers column n from row n down."""
    objects = [(label, 0.9 - 0.05 * n, n, n, n + 1, 8) for n, label in enumerate(labels)]
    return objects_of_frames([blocks(*objects, height=8, width=8, class_scores=False)], COCO_RULES)[
        0
    ]


def places_of(objects: FrameObjects) -> list[int]:
    """Which detection stands where, told by its box."""
    return [int(x) for x in objects.boxes[:, 0]]


def test_persons_come_first_in_their_order_and_the_others_in_any() -> None:
    orders = set()
    for seed in range(300):
        places = places_of(
            with_persons_first(objects_of(LABELS), np.random.default_rng(seed), person=PERSON)
        )
        assert places[:2] == [1, 3]
        assert sorted(places[2:]) == [0, 2, 4, 5]
        orders.add(tuple(places))
    assert len(orders) == 24  # all of them
    for labels in ([], [0], [39, 41], [0, 0, 0]):
        objects = with_persons_first(objects_of(labels), np.random.default_rng(0), person=PERSON)
        assert sorted(places_of(objects)) == list(range(len(labels)))


@pytest.mark.parametrize("seed", range(5))
def test_slots_are_those_of_the_detections_in_that_order(seed) -> None:
    """Those of the detections in the order of their scores, and the background."""
    settings = SlotSettings(max_objects=6, background=True, mask_size=8, feature_cells=(4, 4))
    objects = objects_of(LABELS)
    ordered = with_persons_first(objects, np.random.default_rng(seed), person=PERSON)
    plain, slots = (fill_slots([own], WHOLE, settings) for own in (objects, ordered))
    assert plain.labels[0].tolist() == [*LABELS, 80]
    for name in ("masks", "coverage", "boxes", "class_scores", "labels"):
        expected = getattr(plain, name)[0, [*places_of(ordered), 6]]
        np.testing.assert_array_equal(getattr(slots, name)[0], expected)
