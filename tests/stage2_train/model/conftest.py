"""Tiny networks and batches, the same for every test of the model."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.settings.model_config import MOTION_CHANNELS, NetworkConfig
from orn.stage2_train.settings.systems import system_names

EVERY_KIND = [
    name
    for name in system_names()
    if not name.startswith("inflation-") or name[-2:] in ("01", "03", "04", "12", "14")
]
"""Systems without rows of Table 5 whose kernels are mixed from those of other rows."""

# 40 x 50 pixels give 3 x 4 cells at stride 16: nothing is square and nothing divides evenly.
_PIXELS_HW = (40, 50)
_CELLS_HW = (3, 4)
MAP_CHANNELS = 64
"""Of timm's network `test_efficientnet`."""


@pytest.fixture
def tiny_config() -> NetworkConfig:
    """A ResNet-18 of 16 features, 6 detector classes and background, 3 activities."""
    return NetworkConfig(
        num_activities=3,
        base_width=2,
        num_detector_classes=6,
        mask_size=5,
        mask_features=6,
        relation_width=7,
        reasoning_state=4,
        activity_state=5,
    )


@pytest.fixture
def make_network() -> Callable[[NetworkConfig], ObjectVideoNetwork]:
    """A function giving a float64 network in evaluation mode, none of its weights a default."""

    def make(config: NetworkConfig) -> ObjectVideoNetwork:
        torch.manual_seed(0)
        network = build_object_network(config).double().eval()
        randomize(network)
        network.config = config  # for the loops
        return network

    return make


@torch.no_grad()
def randomize(module: nn.Module) -> None:
    """Gives normalization and temporal kernels values that a mistake in their use would show."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if name.endswith("temporal.weight"):
            tensor.add_(0.2 * torch.randn(tensor.shape, generator=generator))
        elif name.endswith("running_var"):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
        elif name.endswith("running_mean") or (tensor.ndim == 1 and tensor.is_floating_point()):
            tensor.add_(0.2 * torch.randn(tensor.shape, generator=generator))


def draw_batch(
    *,
    clips: int = 2,
    frames: int = 3,
    slots: int = 3,
    size: tuple[int, int] = _PIXELS_HW,
    seed: int = 0,
) -> ClipBatch:
    """Float64 inputs for `tiny_config`, some slots invalid."""
    generator = torch.Generator().manual_seed(seed)
    lead = (clips, frames, slots)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    frames_BTCHW = torch.randint(
        0, 256, (clips, frames, 3, *size), generator=generator, dtype=torch.uint8
    )
    valid_BTK = rand(*lead) < 0.7
    if slots:
        valid_BTK[:, :, 0] = True
    corners_BTK4 = torch.cat([0.6 * rand(*lead, 2), 0.6 + 0.4 * rand(*lead, 2)], dim=3)
    return ClipBatch(
        ids=tuple(map(str, range(clips))),
        crop=size,
        frames_BTCHW=frames_BTCHW,
        masks_BTKhw=rand(*lead, 5, 5),
        coverage_BTKhw=rand(*lead, *_CELLS_HW) * (rand(*lead, *_CELLS_HW) < 0.5),
        class_scores_BTKS=rand(*lead, 7).softmax(3),
        detector_labels_BTK=torch.zeros(lead, dtype=torch.int64),
        labels=torch.zeros(clips, dtype=torch.int64),
        valid_BTK=valid_BTK,
        boxes_BTK4=corners_BTK4 * torch.tensor([size[1], size[0], size[1], size[0]]).double(),
        seconds_BT=rand(clips, frames).cumsum(1),
        maps_BTChw=torch.randn(
            (clips, frames, MAP_CHANNELS, *_CELLS_HW), generator=generator, dtype=torch.float64
        ),
        motion_BTChw=torch.randn(
            (clips, frames, MOTION_CHANNELS, *_CELLS_HW), generator=generator, dtype=torch.float64
        ),
    )


@pytest.fixture
def make_batch() -> Callable[..., ClipBatch]:
    """`draw_batch`."""
    return draw_batch


def in_float32(batch: ClipBatch) -> ClipBatch:
    """The batch as training has it."""
    return replace(
        batch,
        masks_BTKhw=batch.masks_BTKhw.float(),
        coverage_BTKhw=batch.coverage_BTKhw.float(),
        class_scores_BTKS=batch.class_scores_BTKS.float(),
    )


ROUND_OFF = 1e-10  # float64, relative to the largest number of a tensor


def assert_close(actual: torch.Tensor, expected: torch.Tensor, name: str = "") -> None:
    """Equal but for rounding in float64."""
    scale = float(expected.detach().abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(
        actual,
        expected,
        rtol=ROUND_OFF,
        atol=ROUND_OFF * max(scale, 1.0),
        msg=lambda m: f"{name} {m}",
    )
