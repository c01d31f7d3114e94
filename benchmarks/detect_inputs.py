"""A detector and a video to measure detection with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.made_videos import moving_pictures, write_video
from stage1_detect.mmdet.config import read_config
from stage1_detect.mmdet.model import build_model
from stage1_detect.request import DEFAULT_CONFIG

__all__ = ["DetectInputs", "make_inputs"]

FORCED_DETECTIONS = 20
"""Detections of every frame with random weights."""

_SCORE_THRESHOLD = 0.3
_LEADING_LOGIT = 5.0
"""Bias of the class person with random weights: proposals score about 0.6 for it, and none reaches
the threshold for another class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectInputs:
    """What both sides detect with, and where."""

    config: Path
    """A config file for mmdet."""
    checkpoint: Path
    """Weights."""
    score_threshold: float
    """Detections that score less are dropped."""
    video: Path
    """A video file."""
    weights: str
    """What the weights are, for the record."""


def make_inputs(folder: Path, *, video: Path | None, checkpoint: Path | None) -> DetectInputs:
    """The given video and weights of the default detector, or made ones.

    Made weights are random, so what they find means nothing. It is made to be as much as in real
    footage: exactly 20 detections a frame, the best of about a thousand proposals of one class
    after suppression. Their masks are noise, with more runs than those of real objects.
    """
    base = Path(read_config(DEFAULT_CONFIG).config.filename)
    config = folder / f"{DEFAULT_CONFIG}.py"
    limit = FORCED_DETECTIONS if checkpoint is None else 100
    config.write_text(
        f"_base_ = {str(base)!r}\n"
        f"model = dict(test_cfg=dict(rcnn=dict(score_thr={_SCORE_THRESHOLD}, "
        f"max_per_img={limit})))\n"
    )
    if video is None:
        video = write_video(folder / "video.mp4", moving_pictures(64, height=360, width=640))
    return DetectInputs(
        config=config,
        checkpoint=checkpoint or _save_random_weights(config, folder / "random.pth"),
        score_threshold=_SCORE_THRESHOLD,
        video=video,
        weights=(
            f"random, {FORCED_DETECTIONS} detections a frame forced"
            if checkpoint is None
            else checkpoint.name
        ),
    )


def _save_random_weights(config: Path, path: Path) -> Path:
    torch.manual_seed(0)
    model = build_model(read_config(config), initialise=True)
    with torch.no_grad():
        model.roi_head.bbox_head.fc_cls.bias[0] = _LEADING_LOGIT
    torch.save(model.state_dict(), path)
    return path
