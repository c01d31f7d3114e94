"""Which configuration and weights a job detects with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.manifests.records import DetectorChoice

__all__ = ["DEFAULT_CONFIG", "DetectorFiles", "choose_files"]

DEFAULT_CONFIG = "mask-rcnn_r50_fpn_ms-poly-3x_coco"
"""MMDetection's Mask R-CNN, ResNet-50 with feature pyramid, the long schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorFiles:
    """What the detector is loaded from."""

    config: str
    """A file, or a name of MMDetection's model zoo."""
    checkpoint: Path | None
    """File of weights; None where nobody named one."""


def choose_files(
    own: DetectorChoice, *, config: str | None, checkpoint: Path | None
) -> DetectorFiles:
    """What the user asked for, else what the data set asks for, else the default.

    A data set's weights belong to its configuration: they are not used with another one.

    Args:
        own: the choice of the data set's manifest.
        config: the user's choice of a configuration.
        checkpoint: the user's choice of weights.
    """
    if config is None and own.config is not None:
        return DetectorFiles(config=str(own.config), checkpoint=checkpoint or own.checkpoint)
    return DetectorFiles(config=config or DEFAULT_CONFIG, checkpoint=checkpoint)
