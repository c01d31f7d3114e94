"""Whether a shard holds what the loop of inference_detector found in the same frames."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import PipelineError
from shared.shards.shard import Shard

__all__ = ["agreement"]

_BOX_TOLERANCE_PIXELS = 1.0
_SCORE_TOLERANCE = 0.01
"""Folded normalisations round otherwise, and OpenCV and PyAV make RGB of a film otherwise."""
_LEAST_SHARE = 0.9
"""For the same reasons a box near the threshold, or near another one, can be on one side only."""


def agreement(shard_path: Path, loop_path: Path, *, is_exact: bool) -> dict[str, Any]:
    """How many of the loop's detections the shard has too, and within what, for the record.

    Args:
        shard_path: the shard of the first frames of a video.
        loop_path: the pickle that the loop wrote of the same frames.
        is_exact: whether both sides compute in float32, so that most must agree.

    Raises:
        PipelineError: if fewer than nine in ten agree, for `is_exact`; then times mean nothing.
    """
    share = _agreeing_share(shard_path, loop_path)
    if is_exact and share < _LEAST_SHARE:
        raise PipelineError(
            f"of the loop's detections {share:.1%} are among ours, wanted at least "
            f"{_LEAST_SHARE:.0%}; their times are not comparable"
        )
    return {
        "agreeing_share": share,
        "agreeing_least_share": _LEAST_SHARE if is_exact else None,
        "agreeing_box_pixels": _BOX_TOLERANCE_PIXELS,
        "agreeing_score": _SCORE_TOLERANCE,
    }


def _agreeing_share(shard_path: Path, loop_path: Path) -> float:
    """Share of the loop's detections, 0..1, that the shard has too: same class, box and score."""
    shard = Shard(shard_path)
    with loop_path.open("rb") as file:
        frames = pickle.load(file)  # written by this process a moment ago
    num_found = num_same = 0
    for row, expected in enumerate(frames):
        found = shard.frame(row)
        difference_EN4 = np.abs(expected["boxes"][:, None] - found.boxes[None])
        same_EN = (difference_EN4 <= _BOX_TOLERANCE_PIXELS).all(axis=2)
        same_EN &= np.abs(expected["scores"][:, None] - found.scores[None]) <= _SCORE_TOLERANCE
        same_EN &= expected["labels"][:, None] == found.labels[None]
        num_found += len(same_EN)
        num_same += int(same_EN.any(axis=1).sum())
    return num_same / num_found if num_found else 1.0
