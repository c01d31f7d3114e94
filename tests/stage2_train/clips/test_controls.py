"""Changes on purpose: each does what it says and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from orn.shared.masks.rules import COCO_RULES
from orn.stage2_train.clips.controls import (
    Controls,
    frame_permutation,
    with_boxes_as_masks,
    with_shuffled_classes,
)
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.mask_pieces import coverage_of_pieces
from orn.stage2_train.clips.objects import objects_of_frames
from orn.stage2_train.clips.views import ClipRequest
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.recipe import DataRecipe, Recipe
from orn.stage2_train.runs.sources import Sources

PLAIN = Controls()


def test_orders() -> None:
    draw = np.random.default_rng
    assert frame_permutation(4, "forward", draw(0)).tolist() == [0, 1, 2, 3]
    assert frame_permutation(4, "reversed", draw(0)).tolist() == [3, 2, 1, 0]
    shuffled = [frame_permutation(4, "shuffled", draw(seed)).tolist() for seed in range(40)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in shuffled)
    assert len({tuple(order) for order in shuffled}) > 10


@pytest.fixture
def objects(tiny_world):
    video = tiny_world.dataset.segments[0].video_id
    return objects_of_frames([tiny_world.films[video].detections(2)], COCO_RULES)[0]


def test_boxes_fill_their_masks(objects) -> None:
    tilted = replace(objects, boxes=objects.boxes + np.float32([0.3, 0.2, -0.4, -0.1]))
    found = with_boxes_as_masks(tilted)
    assert len(found) == len(objects) > 1
    grid = (objects.height, objects.width)
    ours, theirs = np.zeros((2, len(objects), *grid), np.float32)
    whole = (0.0, 0.0, float(objects.width), float(objects.height))
    coverage_of_pieces(found.pieces, whole, out=ours)
    coverage_of_pieces(objects.pieces, whole, out=theirs)  # of rectangles, which boxes are
    np.testing.assert_array_equal(ours, theirs)


def test_classes_are_dealt_out_anew(objects) -> None:
    found = [with_shuffled_classes(objects, np.random.default_rng(seed)) for seed in range(9)]
    ours = sorted(objects.class_scores.tolist())
    assert all(sorted(each.class_scores.tolist()) == ours for each in found)
    assert len({each.class_scores.tobytes() for each in found}) > 1
    for each in found:  # the labels of the class loss stay those whose pixels it reads
        assert each.pieces is objects.pieces
        np.testing.assert_array_equal(each.labels, objects.labels)


def clips_of(world, controls: Controls = PLAIN, **model) -> ClipDataset:
    """What a training with a recipe reads."""
    recipe = Recipe(
        model=NetworkConfig(num_activities=2, **model),
        data=DataRecipe(crop=(32, 48), score_threshold=0.1, controls=controls),
    )
    sources = Sources(dataset=world.dataset, clips=world.clips(), detections=world.detections())
    return sources.clip_dataset(sources.join("train", recipe), recipe)


@pytest.mark.parametrize("request_", [ClipRequest(0, epoch=3), ClipRequest(0)])
@pytest.mark.parametrize(
    "controls",
    [Controls(frame_order="reversed"), Controls(object_classes="shuffled")],
    ids=["reversed", "classes"],
)
def test_a_control_leaves_the_other_draws_alone(controls, request_, tiny_world) -> None:
    plain, changed = clips_of(tiny_world)[request_], clips_of(tiny_world, controls)[request_]
    step = -1 if controls.frame_order == "reversed" else 1
    np.testing.assert_array_equal(changed.frames, plain.frames[::step])
    np.testing.assert_array_equal(changed.slots.masks, plain.slots.masks[::step])
    again = clips_of(tiny_world, controls)[request_]
    np.testing.assert_array_equal(again.slots.class_scores, changed.slots.class_scores)
