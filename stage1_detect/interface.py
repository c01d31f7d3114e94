"""What Python code imports from here, see docs/python.md; what is heavy is imported when called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stage1_detect.mmdet.detector import MmdetDetector

__all__ = ["load_detector"]


def load_detector(
    checkpoint: str | Path | None = None,
    *,
    config: str | Path | None = None,
    score_threshold: float = 0.3,
    device: str = "auto",
) -> MmdetDetector:
    """The detector that `orn detect` would take; its `detect(frames)` takes (H, W, 3) uint8 RGB
    arrays of equal size and gives the detections of each.

    Args:
        checkpoint: file of weights; weights that come with the project bring their configuration.
        config: a configuration's file, its name in MMDetection's model zoo, or the name of a
            detector that comes with the project, which brings its weights: `mask_rcnn_demo`.
        score_threshold: detections below it are dropped, 0..1.
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` takes a GPU where there is one.

    Raises:
        DetectorError: no such configuration, file or device, or they do not fit each other.
    """
    from shared.manifests.records import DetectorChoice
    from stage1_detect.mmdet import detector
    from stage1_detect.request import choose_files

    chosen, weights = choose_files(
        DetectorChoice(),
        config=None if config is None else str(config),
        checkpoint=None if checkpoint is None else Path(checkpoint),
    )
    return detector.load_detector(
        device, config=chosen, checkpoint=weights, score_threshold=score_threshold
    )
