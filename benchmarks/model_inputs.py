"""Random batches for benchmarks of the model, identical for both sides.

Axes: B clips, T frames, K object slots, S detector classes including background, h w cells.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.settings.model_config import NetworkConfig

_STRIDE = 16
"""Stride of the object head's feature map, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSizes:
    """Sizes for a benchmark."""

    clips: int
    """B."""
    frames: int
    """T."""
    slots: int
    """K; all are occupied."""
    config: NetworkConfig
    """Network; the mask size must be a multiple of the size of the feature map."""

    @property
    def pixels(self) -> int:
        """Side of frames for masks of twice the feature map's resolution, as in the paper (28 x 28
        and 14 x 14, for 224 x 224 pixels)."""
        return _STRIDE * self.config.mask_size // 2

    def as_json(self) -> dict[str, Any]:
        """Return the sizes for the record."""
        return {
            "clips": self.clips,
            "frames": self.frames,
            "slots": self.slots,
            "pixels": self.pixels,
            "backbone": self.config.backbone,
        }


TINY = ClipSizes(
    clips=1,
    frames=2,
    slots=2,
    config=NetworkConfig(
        num_activities=3,
        backbone="resnet18",
        base_width=4,
        mask_size=8,
        mask_features=6,
        relation_width=8,
        reasoning_state=4,
        activity_state=4,
    ),
)
"""Tiny sizes for a test run."""


def random_batch(sizes: ClipSizes, *, pixels: int | None = None) -> ClipBatch:
    """Return clips of noise whose masks have random cells, half of them set.

    Coverage is the mean of the masks' cells, so that pooling gives the same result with either.
    `pixels` is the side of frames; None: as in `sizes`.
    """
    config = sizes.config
    generator = torch.Generator().manual_seed(0)
    side = pixels or sizes.pixels
    cells = side // _STRIDE
    lead = (sizes.clips, sizes.frames, sizes.slots)
    masks_BTKhw = torch.rand(*lead, config.mask_size, config.mask_size, generator=generator).round()
    coverage = functional.avg_pool2d(masks_BTKhw.flatten(0, 2)[:, None], config.mask_size // cells)
    scores_BTKS = (
        torch.rand(*lead, config.num_detector_classes + 1, generator=generator).mul_(5).softmax(3)
    )
    corners = torch.rand(*lead, 2, generator=generator) * side / 2
    frames_BTHWC = torch.randint(
        0, 256, (*lead[:2], side, side, 3), generator=generator, dtype=torch.uint8
    )
    return ClipBatch(
        ids=tuple(f"clip-{number}" for number in range(sizes.clips)),
        frames_BTCHW=frames_BTHWC.permute(0, 1, 4, 2, 3),
        crop=(side, side),
        masks_BTKhw=masks_BTKhw,
        coverage_BTKhw=coverage.view(*lead, cells, cells),
        boxes_BTK4=torch.cat([corners, corners + side / 2], dim=3),
        seconds_BT=torch.arange(sizes.frames).expand(sizes.clips, -1).float(),
        class_scores_BTKS=scores_BTKS,
        detector_labels_BTK=scores_BTKS.argmax(3),
        valid_BTK=torch.ones(lead, dtype=torch.bool),
        labels=torch.randint(0, config.num_activities, (sizes.clips,), generator=generator),
    )


def sizes_of(*, clips: int, frames: int, slots: int, backbone: str, tiny: bool) -> ClipSizes:
    """Return the sizes of a batch; those for a test run if `tiny`."""
    if tiny:
        return TINY
    config = NetworkConfig(num_activities=125, backbone=backbone)
    return ClipSizes(clips=clips, frames=frames, slots=slots, config=config)
