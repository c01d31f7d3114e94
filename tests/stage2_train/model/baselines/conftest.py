"""Small baselines and batches of frames whose objects are noise."""

from collections.abc import Callable

import pytest
import torch

from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.inputs import NetworkInputs


@pytest.fixture
def baseline_config() -> Callable[..., NetworkConfig]:
    """A function giving a small configuration of one of the baselines."""

    def make(architecture: str, **settings) -> NetworkConfig:
        chosen = {"num_activities": 3, "base_width": 2, "heads": "activity"} | settings
        return NetworkConfig(architecture=architecture, **chosen)

    return make


@pytest.fixture
def frames_batch() -> Callable[..., NetworkInputs]:
    """A function giving a batch of clips of a size; objects are random, as nothing reads them."""

    def make(
        *, clips: int = 2, frames: int = 4, size: tuple[int, int] = (40, 50), seed: int = 0
    ) -> NetworkInputs:
        generator = torch.Generator().manual_seed(seed)
        lead = (clips, frames, 2)
        return NetworkInputs(
            frames_BTCHW=torch.randint(
                0, 256, (clips, frames, 3, *size), generator=generator, dtype=torch.uint8
            ),
            masks_BTKhw=torch.rand(*lead, 5, 5, generator=generator),
            coverage_BTKhw=torch.rand(*lead, 3, 4, generator=generator),
            class_scores_BTKS=torch.rand(*lead, 81, generator=generator),
            valid_BTK=torch.rand(*lead, generator=generator) < 0.5,
        )

    return make
