"""Masks must be, byte for byte, what mmdet's paste into a full frame and pycocotools give; those of
borders that were found on a device, up to what the order of float32 operations changes."""

from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from orn.shared.masks.rle import decode, encode_borders
from orn.stage1_detect.mmdet import masks as mask_module
from orn.stage1_detect.mmdet.masks import encode_masks, find_borders
from orn.stage1_detect.mmdet.torchvision_ops import install

pytestmark = pytest.mark.mmdet

BORDERLINE = 1e-4
"""Share of pixels that may differ where the order of float32 operations does."""


def by_borders(masks: torch.Tensor, boxes: torch.Tensor, **options: Any) -> tuple[bytes, ...]:
    """As `encode_masks`."""
    found = find_borders(masks, boxes, **options)
    shape = {"height": options["height"], "width": options["width"]}
    return tuple(encode_borders(borders, **shape) for borders in found)


def pasted(masks: torch.Tensor, boxes: torch.Tensor, height: int, width: int) -> list[bytes]:
    """mmdet's path on the CPU, one mask after the other into a full frame."""
    install()  # before mmdet is imported
    from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

    counts = []
    for one, box in zip(masks, boxes, strict=True):
        full = torch.zeros((height, width), dtype=torch.bool)
        window, place = _do_paste_mask(one[None, None], box[None], height, width, skip_empty=True)
        full[place] = window[0] >= 0.5
        counts.append(coco_mask.encode(np.asfortranarray(full.numpy().astype(np.uint8)))["counts"])
    return counts


@pytest.mark.parametrize(("height", "width"), [(90, 131), (17, 40), (1, 1), (3, 200)])
def test_random_masks_equal_mmdet(height: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(height)
    corners = torch.rand((60, 2, 2), generator=generator) * torch.tensor([width, height])
    boxes = torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)
    smooth = torch.rand((60, 1, 7, 7), generator=generator)
    masks = torch.nn.functional.interpolate(smooth, (28, 28), mode="bilinear")[:, 0]
    shape = {"height": height, "width": width}
    theirs = pasted(masks, boxes, height, width)
    assert list(encode_masks(masks, boxes, **shape, threshold=0.5)) == theirs
    wanted = np.array([decode(each, **shape) for each in theirs])
    for most_pixels in (1, 3000, 2**22):
        monkeypatch.setattr(mask_module, "MOST_PIXELS", most_pixels)
        ours = by_borders(masks, boxes, **shape, threshold=0.5)
        found = np.array([decode(each, **shape) for each in ours])
        assert (found != wanted).sum() <= BORDERLINE * wanted.sum()


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([0.0, 0.0, 20.0, 12.0], id="whole frame"),
        pytest.param([4.5, 3.5, 9.5, 8.5], id="edges on pixel centres"),
        pytest.param([4.2, 3.0, 4.6, 9.0], id="narrower than a pixel"),
        pytest.param([6.0, 2.0, 6.0, 9.0], id="no width"),
        pytest.param([6.5, 2.5, 6.5, 2.5], id="a point on a pixel centre"),
        pytest.param([0.0, 5.0, 0.0, 9.0], id="no width at the border"),
        pytest.param([20.0, 12.0, 20.0, 12.0], id="the far corner"),
        pytest.param([-3.0, -2.0, 25.0, 15.0], id="beyond the frame"),
    ],
)
@pytest.mark.parametrize("value", [1.0, 0.5, 0.49])
@pytest.mark.parametrize("encode", [encode_masks, by_borders])
def test_odd_boxes_equal_mmdet(encode: Any, box: list[float], value: float) -> None:
    masks, boxes = torch.full((1, 28, 28), value), torch.tensor([box])
    found = encode(masks, boxes, height=12, width=20, threshold=0.5)
    assert list(found) == pasted(masks, boxes, 12, 20)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_gives_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand((20, 28, 28), generator=generator)
    boxes = torch.tensor([[3.5, 4.0, 90.0, 70.0]]).repeat(20, 1)
    ours = find_borders(masks.cuda(), boxes.cuda(), height=90, width=131, threshold=0.5)
    theirs = find_borders(masks, boxes, height=90, width=131, threshold=0.5)
    share = np.mean([np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True)])
    assert share > 0.9
