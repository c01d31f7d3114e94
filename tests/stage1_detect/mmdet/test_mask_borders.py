"""The borders found on a device must give the masks that pasting one by one gives."""

import numpy as np
import pytest
import torch

from orn.shared.masks.rle import decode, encode_borders
from orn.stage1_detect.mmdet.masks import encode_masks, find_borders

pytestmark = pytest.mark.mmdet

BORDERLINE = 1e-4
"""Share of pixels that may differ where the order of float32 operations does."""


def encoded(masks: torch.Tensor, boxes: torch.Tensor, height: int, width: int) -> list[bytes]:
    found = find_borders(masks, boxes, height=height, width=width, threshold=0.5)
    assert len(found) == len(masks)
    return [encode_borders(borders, height=height, width=width) for borders in found]


def test_a_full_mask_covers_its_box() -> None:
    boxes = torch.tensor([[1.0, 2.0, 5.0, 4.0]])
    (counts,) = encoded(torch.ones(1, 28, 28), boxes, 6, 7)
    expected = np.zeros((6, 7), dtype=bool)
    expected[2:4, 1:5] = True
    np.testing.assert_array_equal(decode(counts, height=6, width=7), expected)


def test_no_masks_and_empty_masks() -> None:
    assert encoded(torch.zeros(0, 1, 1), torch.zeros(0, 4), 6, 7) == []
    (counts,) = encoded(torch.zeros(1, 28, 28), torch.tensor([[1.0, 2.0, 5.0, 4.0]]), 6, 7)
    assert not decode(counts, height=6, width=7).any()


@pytest.mark.parametrize("most_pixels", [1, 3000, 2**22])
@pytest.mark.parametrize(("height", "width"), [(90, 131), (17, 40), (1, 1), (3, 200)])
def test_random_masks(
    height: int, width: int, most_pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orn.stage1_detect.mmdet.masks._MOST_PIXELS", most_pixels)
    generator = torch.Generator().manual_seed(height)
    corners = torch.rand((60, 2, 2), generator=generator) * torch.tensor([width, height])
    boxes = torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)
    smooth = torch.rand((60, 1, 7, 7), generator=generator)
    masks = torch.nn.functional.interpolate(smooth, (28, 28), mode="bilinear")[:, 0]
    ours = encoded(masks, boxes, height, width)
    theirs = encode_masks(masks, boxes, height=height, width=width, threshold=0.5)
    shape = {"height": height, "width": width}
    pairs = [(decode(a, **shape), decode(b, **shape)) for a, b in zip(ours, theirs, strict=True)]
    different = sum(int((a != b).sum()) for a, b in pairs)
    assert different <= BORDERLINE * sum(int(b.sum()) for _, b in pairs)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([0.0, 0.0, 20.0, 12.0], id="whole frame"),
        pytest.param([4.5, 3.5, 9.5, 8.5], id="edges on pixel centres"),
        pytest.param([4.2, 3.0, 4.6, 9.0], id="narrower than a pixel"),
        pytest.param([6.0, 2.0, 6.0, 9.0], id="no width"),
        pytest.param([0.0, 5.0, 0.0, 9.0], id="no width at the border"),
        pytest.param([20.0, 12.0, 20.0, 12.0], id="the far corner"),
        pytest.param([-3.0, -2.0, 25.0, 15.0], id="beyond the frame"),
    ],
)
@pytest.mark.parametrize("value", [1.0, 0.5, 0.49])
def test_odd_boxes(box: list[float], value: float) -> None:
    masks, boxes = torch.full((1, 28, 28), value), torch.tensor([box])
    ours = encoded(masks, boxes, 12, 20)
    assert ours == list(encode_masks(masks, boxes, height=12, width=20, threshold=0.5))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_gives_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand((20, 28, 28), generator=generator)
    boxes = torch.tensor([[3.5, 4.0, 90.0, 70.0]]).repeat(20, 1)
    ours = find_borders(masks.cuda(), boxes.cuda(), height=90, width=131, threshold=0.5)
    theirs = find_borders(masks, boxes, height=90, width=131, threshold=0.5)
    share = np.mean([np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True)])
    assert share > 0.9
