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
    """Return the detector that `orn detect` would take; its `detect(frames)` takes (H, W, 3) uint8
    RGB arrays of equal size and gives the detections of each.

    Args:
        checkpoint: file of weights; weights that come with the project bring their configuration.
            None takes those that are published for the configuration, from torch.hub's cache,
            fetched if they are not there.
        config: a configuration's file, its name in MMDetection's model zoo, or the name of a
            detector that comes with the project, which brings its weights: `mask_rcnn_demo`.
        score_threshold: detections below it are dropped, 0..1.
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` takes a GPU where there is one.

    Raises:
        DetectorError: no such configuration, file or device, they do not fit each other, weights
            cannot be fetched, or an argument is of another type or out of its range.
    """
    from numbers import Real

    from shared.errors import DetectorError
    from shared.manifests.records import DetectorChoice
    from stage1_detect.mmdet import detector
    from stage1_detect.request import choose_files

    for name, path in (("checkpoint", checkpoint), ("config", config)):
        if not isinstance(path, str | Path | None):
            raise DetectorError(f"{name}: expected a path, got {path!r:.80}; pass a str or a Path")
    if not isinstance(score_threshold, Real) or not 0 <= score_threshold <= 1:
        raise DetectorError(
            f"score_threshold: expected a number from 0 to 1, got {score_threshold!r:.80}"
        )
    chosen, weights = choose_files(
        DetectorChoice(),
        config=None if config is None else str(config),
        checkpoint=None if checkpoint is None else Path(checkpoint),
    )
    return detector.load_detector(
        device, config=chosen, checkpoint=weights, score_threshold=score_threshold
    )
