"""Which configuration and weights a job detects with."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable
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

    def absolute(self) -> DetectorFiles:
        """The same files for a process with another working directory."""
        is_file = self.config.endswith(".py")
        return DetectorFiles(
            config=str(Path(self.config).absolute()) if is_file else self.config,
            checkpoint=self.checkpoint and self.checkpoint.absolute(),
        )


def choose_files(
    own: DetectorChoice,
    *,
    config: str | None,
    checkpoint: Path | None,
    shipped: Iterable[DetectorChoice] = (),
) -> DetectorFiles:
    """What the user asked for, else what the data set asks for, else the default.

    A data set's weights belong to its configuration: they are not used with another one. Weights
    that come with the project bring their configuration along, for any data set.

    Args:
        own: the choice of the data set's manifest.
        config: the user's choice of a configuration.
        checkpoint: the user's choice of weights.
        shipped: configurations and weights that come with the project.
    """
    if config is not None:
        return DetectorFiles(config=config, checkpoint=checkpoint)
    if own.config is not None:
        return DetectorFiles(config=own.config, checkpoint=checkpoint or own.checkpoint)
    for choice in shipped:
        if checkpoint is not None and _same_file(checkpoint, choice.checkpoint):
            return DetectorFiles(config=str(choice.config), checkpoint=checkpoint)
    return DetectorFiles(config=DEFAULT_CONFIG, checkpoint=checkpoint)


def _same_file(path: Path, other: Path | None) -> bool:
    """Whether both exist and hold the same bytes."""
    if other is None or not path.is_file() or not other.is_file():
        return False
    return filecmp.cmp(path, other, shallow=False)
