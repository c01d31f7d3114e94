import pickle
import sys
import types
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from orn.shared.errors import DetectorError
from orn.stage1_detect.mmdet.torchvision_ops import install, nms

pytestmark = pytest.mark.mmdet


@pytest.fixture(autouse=True)
def _stand_in() -> None:
    if not install():
        pytest.skip("a compiled mmcv is installed and stays in use")


def slow_nms(boxes: Tensor, scores: Tensor, threshold: float, offset: int) -> list[int]:
    """Greedy suppression, pair by pair, as mmcv's CPU kernel documents it."""
    kept: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        if all(iou(boxes[i].tolist(), boxes[k].tolist(), offset) <= threshold for k in kept):
            kept.append(i)
    return kept


def iou(a: list[float], b: list[float], offset: int) -> float:
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + offset)
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + offset)
    areas = [(x2 - x1 + offset) * (y2 - y1 + offset) for x1, y1, x2, y2 in (a, b)]
    union = sum(areas) - w * h
    return w * h / union if union else 0.0


@pytest.mark.parametrize("offset", [0, 1])
def test_nms_equals_the_slow_loop(offset: int) -> None:
    generator = torch.Generator().manual_seed(offset)
    corners = torch.randint(0, 30, (60, 2), generator=generator).double()
    sizes = torch.randint(1, 20, (60, 2), generator=generator).double()
    boxes = torch.cat([corners, corners + sizes], dim=1)
    scores = torch.rand(60, generator=generator).double()
    expected = slow_nms(boxes, scores, 0.4, offset)
    assert nms(boxes, scores, iou_threshold=0.4, offset=offset).tolist() == expected
    assert 1 < len(expected) < 60


def slow_roi_align(feature: Any, box: list[float], size: int, scale: float, ratio: int) -> Any:
    """Average of ratio x ratio bilinear samples a bin, pixel centers at half cells (aligned)."""
    x1, y1, x2, y2 = (value * scale - 0.5 for value in box)
    out = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            for a in range(ratio):
                for b in range(ratio):
                    y = y1 + (y2 - y1) / size * (i + (a + 0.5) / ratio)
                    x = x1 + (x2 - x1) / size * (j + (b + 0.5) / ratio)
                    out[i, j] += bilinear(feature, y, x) / ratio**2
    return out


def bilinear(feature: Any, y: float, x: float) -> float:
    height, width = feature.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    top = feature[y0, x0] * (1 - x + x0) + feature[y0, x1] * (x - x0)
    bottom = feature[y1, x0] * (1 - x + x0) + feature[y1, x1] * (x - x0)
    return float(top * (1 - y + y0) + bottom * (y - y0))


def test_roi_align_equals_the_slow_loop() -> None:
    from mmcv.ops import RoIAlign

    features = torch.rand((2, 3, 6, 9), generator=torch.Generator().manual_seed(0)).double()
    rois = torch.tensor([[0.0, 2, 3, 25, 20], [1, 0, 0, 4, 4], [1, 30, 10, 36, 24]]).double()
    layer = RoIAlign(output_size=4, spatial_scale=0.25, sampling_ratio=2)
    pooled = layer(features, rois)
    assert pooled.shape == (3, 3, 4, 4)
    for row, (image, *box) in enumerate(rois.tolist()):
        for channel in range(3):
            feature = features[int(image), channel].numpy()
            expected = slow_roi_align(feature, box, 4, 0.25, 2)
            np.testing.assert_allclose(pooled[row, channel].numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("is_modulated", [False, True])
def test_deformable_convolution_equals_the_slow_loop(is_modulated: bool) -> None:
    from mmcv.ops import deform_conv2d, modulated_deform_conv2d

    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(1, 2, *hw, generator=generator) for hw in ((6, 7), (3, 2)))
    offset = torch.randn(1, 12, 3, 4, generator=generator)
    mask = torch.rand(1, 6, 3, 4, generator=generator) if is_modulated else torch.ones(1, 6, 3, 4)
    bias = torch.tensor([0.5]) if is_modulated else torch.zeros(1)
    if is_modulated:
        output = modulated_deform_conv2d(x, offset, mask, weight, bias, (2, 2), (1, 1), (1, 1))
    else:
        output = deform_conv2d(x, offset, weight, (2, 2), (1, 1), (1, 1))
    expected = torch.zeros(1, 1, 3, 4)
    for row, column, i, j in np.ndindex(3, 4, 3, 2):
        tap = i * 2 + j
        dy, dx = offset[0, 2 * tap : 2 * tap + 2, row, column].tolist()
        for channel in range(2):
            sample = zero_padded(
                x[0, channel].numpy(), row * 2 - 1 + i + dy, column * 2 - 1 + j + dx
            )
            share = mask[0, tap, row, column] * weight[0, channel, i, j]
            expected[0, 0, row, column] += share * sample
    torch.testing.assert_close(output, expected + bias)


def zero_padded(feature: Any, y: float, x: float) -> float:
    """Bilinear, zero outside."""
    height, width = feature.shape
    y, x = np.clip(y + 2, 0, height + 3), np.clip(x + 2, 0, width + 3)
    return bilinear(np.pad(feature, 2), y, x)


def test_what_is_not_there_names_itself() -> None:
    from mmcv.ops import carafe, roi_align

    assert roi_align(torch.ones(1, 2, 5, 5), torch.zeros(0, 5), 7).shape == (0, 2, 7, 7)
    with pytest.raises(DetectorError, match=r"pool_mode 1 .* got 0 \(maximum\)"):
        roi_align(torch.ones(1, 1, 5, 5), torch.zeros(1, 5), 7, 1.0, 0, "max", True)

    features, kernels = torch.ones(1, 1, 5, 5), torch.ones(1, 9, 10, 10)
    with pytest.raises(DetectorError, match=r"'carafe_forward'.*compiled mmcv") as caught:
        carafe(features, kernels, 3, 1, 2)
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), DetectorError)


def test_a_compiled_module_stays(monkeypatch) -> None:
    module = sys.modules["mmcv._ext"]
    assert install() and sys.modules["mmcv._ext"] is module
    compiled = types.ModuleType("mmcv._ext")
    monkeypatch.setitem(sys.modules, "mmcv._ext", compiled)
    assert install() is False
    assert sys.modules["mmcv._ext"] is compiled
