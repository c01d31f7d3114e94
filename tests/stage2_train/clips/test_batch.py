"""Clips side by side."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from orn.stage2_train.clips.batches import collate
from orn.stage2_train.clips.clip_draws import ClipRequest
from tests.stage2_train.clips.conftest import SETTINGS


@pytest.fixture
def samples(make_dataset):
    """A clip with four slots in use, and one with two."""
    few = replace(SETTINGS, slots=replace(SETTINGS.slots, max_objects=1))
    return [
        make_dataset(settings)[ClipRequest(number, epoch=0)]
        for number, settings in ((0, SETTINGS), (1, few))
    ]


def test_fields_and_padding_which_is_zero_and_invalid(samples) -> None:
    batch = collate(samples)
    assert batch.ids == ("film/0-segment", "film/1-segment")
    assert (len(batch), batch.labels.tolist(), batch.labels.dtype) == (2, [0, 1], torch.int64)
    assert batch.frames_BTCHW.shape == (2, 4, 3, 32, 48)
    assert batch.frames_BTCHW.dtype == torch.uint8
    assert batch.frames_BTCHW.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(batch.frames_BTCHW[1, 2].permute(1, 2, 0), samples[1].frames[2])
    assert batch.valid_BTK.shape == (2, 4, 4)
    assert batch.valid_BTK[:, 0].tolist() == [[True] * 4, [True] * 2 + [False] * 2]
    shapes = {"masks_BTKhw": (28, 28), "coverage_BTKhw": (2, 3), "boxes_BTK4": (4,)}
    for name, shape in (shapes | {"class_scores_BTKS": (81,)}).items():
        field = getattr(batch, name)
        assert field.shape == (2, 4, 4, *shape)
        assert not field[~batch.valid_BTK].any()
        assert field[batch.valid_BTK].any()
    np.testing.assert_array_equal(batch.masks_BTKhw[1, :, :2], samples[1].slots.masks)
