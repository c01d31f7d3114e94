"""A frame of an explained clip with the objects in it."""

import numpy as np
import pytest
import torch

from orn.stage2_train.clips.object_slots import BACKGROUND
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.report.explained_clips import scene_of
from orn.stage2_train.report.shown_clip import ShownClip, seen_objects
from tests.stage2_train.report.test_shown_clip import NAMES


def test_a_frame_is_drawn_with_its_own_objects_on_the_grid_of_their_masks() -> None:
    """Two clips of two frames of 8 x 12 pixels; in the second frame, the last slot is empty."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.rand(2, 2, 3, *shape, generator=generator)

    labels_BTK = torch.tensor([[[0, 1, 3], [1, 3, 0]], [[2, 0, 3], [0, 3, 0]]])
    batch = ClipBatch(
        ids=("a", "b"),
        crop=(8, 12),
        frames_BTCHW=(255 * drawn(8, 12)).byte(),
        masks_BTKhw=drawn(4, 4),
        coverage_BTKhw=drawn(2, 2),
        boxes_BTK4=drawn(4),
        seconds_BT=torch.tensor([[0.0, 0.5]] * 2),
        class_scores_BTKS=drawn(4),
        detector_labels_BTK=labels_BTK,
        valid_BTK=torch.tensor([[[True, True, True], [True, True, False]]] * 2),
        labels=torch.tensor([0, 1]),
    )
    larger = seen_objects(batch, 1, NAMES, (10, 20, 10 + 2 * 12, 20 + 3 * 8))
    objects = seen_objects(batch, 1, NAMES, (0, 0, 12, 8))
    clip = ShownClip(seconds=(0.0, 0.5), objects=objects, grid=(12, 8), activity="move")
    for frame, slots in enumerate(([0, 1], [0])):
        image_HW3, shown = scene_of(batch, 1, clip)(frame)
        assert torch.equal(
            torch.tensor(image_HW3), batch.required("frames_BTCHW")[1, frame].permute(1, 2, 0)
        )
        np.testing.assert_array_equal(shown.covers, batch.masks_BTKhw[1, frame, slots])
        np.testing.assert_array_equal(shown.labels, labels_BTK[1, frame, slots])
        scores_K = batch.class_scores_BTKS[1, frame, range(3), labels_BTK[1, frame]]
        np.testing.assert_array_equal(shown.scores, scores_K[slots])
        boxes_k4 = batch.boxes_BTK4[1, frame, slots].numpy()
        np.testing.assert_allclose(shown.boxes, boxes_k4 * ([4 / 12, 4 / 8] * 2), rtol=1e-6)
        assert [each.name for each in objects[frame]][-1] == BACKGROUND
        for of, box_4 in zip(larger[frame], boxes_k4, strict=False):
            assert of.box == pytest.approx(box_4 * ([2, 3] * 2) + np.array([10, 20] * 2), rel=1e-5)
