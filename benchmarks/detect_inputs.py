"""A detector and a video to measure detection with, and `orn detect`'s pipeline over both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.made_inputs import moving_pictures, write_video
from shared.manifests.records import Video
from shared.shards.plan import Unit, UnitPart, shard_path
from stage1_detect.mmdet.config import read_config
from stage1_detect.mmdet.detector import load_detector
from stage1_detect.mmdet.model import build_model
from stage1_detect.pipeline import detect_unit
from stage1_detect.request import DEFAULT_CONFIG
from stage1_detect.unit_reader import UnitReader

__all__ = ["DetectInputs", "Detection", "make_inputs"]

_FORCED_DETECTIONS = 20
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
    score_threshold: float
    video: Path
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
    limit = _FORCED_DETECTIONS if checkpoint is None else 100
    config.write_text(
        f"_base_ = {str(base)!r}\nmodel = dict(test_cfg=dict(rcnn=dict("
        f"score_thr={_SCORE_THRESHOLD}, max_per_img={limit})))\n"
    )
    if video is None:
        video = write_video(folder / "video.mp4", moving_pictures(64, height=360, width=640))
    forced = f"random, {_FORCED_DETECTIONS} detections a frame forced"
    return DetectInputs(
        config=config,
        checkpoint=checkpoint or _save_random_weights(config, folder / "random.pth"),
        score_threshold=_SCORE_THRESHOLD,
        video=video,
        weights=forced if checkpoint is None else checkpoint.name,
    )


def _save_random_weights(config: Path, path: Path) -> Path:
    torch.manual_seed(0)
    model = build_model(read_config(config), initialise=True)
    with torch.no_grad():
        model.roi_head.bbox_head.fc_cls.bias[0] = _LEADING_LOGIT
    torch.save(model.state_dict(), path)
    return path


class Detection:
    """A detector on one thread, and the first frames of the video from file to shard."""

    def __init__(
        self,
        inputs: DetectInputs,
        folder: Path,
        *,
        frames: int,
        device: str,
        precision: Any,
        index: int = 0,
    ) -> None:
        self.detector = load_detector(
            device,
            config=inputs.config,
            checkpoint=inputs.checkpoint,
            score_threshold=inputs.score_threshold,
            precision=precision,
            threads=1,
        )
        self.batch = 1 if device == "cpu" else 8
        self.path = shard_path(folder, index)
        part = UnitPart(video_id="video", start=0, stop=frames)
        self._unit = Unit(index=index, parts=(part,))
        videos = {"video": Video(id="video", path=inputs.video)}
        self._source = UnitReader(videos, batch=self.batch, prepare=self.detector.prepare)

    def run(self) -> int:
        """Detects as `orn detect` does; the number of detections."""
        result = detect_unit(
            self._unit, source=self._source, detector=self.detector, path=self.path
        )
        return result.detections
