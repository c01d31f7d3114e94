"""Detector and video of the detection benchmarks, and the pipeline of `orn detect`."""

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from orn.benchmarks.made_inputs import moving_pictures, write_video
from orn.data_manifests.records import Video
from orn.shared.jobs.plan import Unit, UnitPart
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import shard_path
from orn.shared.video.read import read_frames
from orn.stage1_detect.choose_detector import DEFAULT_CONFIG
from orn.stage1_detect.detect_unit import UnitDetector
from orn.stage1_detect.mmdet.detector import load_detector
from orn.stage1_detect.mmdet.model import build_model, read_config

_LEADING_LOGIT = 5.0
"""Bias of the class person with random weights, so that most detections have one class."""
_DETECTIONS = 20
"""Mean number of detections per frame with random weights."""
_SCORE_THRESHOLD = 0.3
_SPREAD = 30.0
"""Scale of random scores, which would otherwise differ by no more than rounding errors."""
_TINY = (
    "model['test_cfg']['rpn'] = dict(max_per_img=40)\n"
    "test_dataloader = dict(dataset=dict(pipeline=["
    "dict(type='LoadImageFromFile'), dict(type='Resize', scale=(160, 96), keep_ratio=True), "
    "dict(type='PackDetInputs', meta_keys=('ori_shape', 'img_shape', 'scale_factor'))]))\n"
)
"""Configuration with small frames and few proposals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectInputs:
    """Inputs for both sides."""

    config: Path
    """Configuration file of mmdet."""
    checkpoint: Path
    score_threshold: float
    video: Path
    weights: str
    """Description of the weights, for the record."""

    @property
    def folder(self) -> Path:
        """Folder for output."""
        return self.config.parent


def make_inputs(
    folder: Path, *, video: Path | None, checkpoint: Path | None, device: str, tiny: bool = False
) -> DetectInputs:
    """Return the given video and weights of the default detector, or generated ones.

    Generated weights are random, with 20 detections per frame as in real videos. Their masks are
    noise and have more runs than masks of real objects.
    """
    base = Path(read_config(DEFAULT_CONFIG).config.filename)
    config = folder / f"{DEFAULT_CONFIG}.py"
    config.write_text(
        f"_base_ = {str(base)!r}\nmodel = dict(test_cfg=dict(rcnn=dict("
        f"score_thr={_SCORE_THRESHOLD}, max_per_img=100)))\n" + (_TINY if tiny else "")
    )
    if video is None:
        height, width = (90, 160) if tiny else (720, 1280)
        pictures = moving_pictures(96, height=height, width=width)
        video = write_video(folder / "video.mp4", pictures)
    given = DetectInputs(
        config=config,
        checkpoint=checkpoint or _save_random_weights(config, folder / "random.pth"),
        score_threshold=_SCORE_THRESHOLD,
        video=video,
        weights=f"random, with a threshold for {_DETECTIONS} detections per frame"
        if checkpoint is None
        else checkpoint.name,
    )
    return given if checkpoint is not None else _with_searched_threshold(given, device)


def _save_random_weights(config: Path, path: Path) -> Path:
    torch.manual_seed(0)
    model = build_model(read_config(config), initialize=True)
    with torch.no_grad():
        model.roi_head.bbox_head.fc_cls.bias[0] = _LEADING_LOGIT
        model.roi_head.bbox_head.fc_cls.weight *= _SPREAD
    torch.save(model.state_dict(), path)
    return path


def _with_searched_threshold(inputs: DetectInputs, device: str) -> DetectInputs:
    detector = Detection(
        replace(inputs, score_threshold=0.01), frames=1, device=device, precision="float32"
    ).detector
    images = [frame.image for frame in islice(read_frames(inputs.video), 2)]
    found = [frame for image in images for frame in detector.detect([image])]
    scores = sorted((score for frame in found for score in frame.scores.tolist()), reverse=True)
    rank = min(_DETECTIONS * len(found), len(scores) - 1)
    threshold = (scores[rank - 1] + scores[rank]) / 2  # between two scores
    config = inputs.config.with_name(f"{inputs.config.stem}_searched.py")
    config.write_text(
        f"_base_ = {str(inputs.config)!r}\n"
        f"model = dict(test_cfg=dict(rcnn=dict(score_thr={threshold})))\n"
    )
    return replace(inputs, config=config, score_threshold=threshold)


class Detection:
    """Detection in this process: writes the first frames of a video file to a shard."""

    def __init__(
        self,
        inputs: DetectInputs,
        *,
        frames: int,
        device: str,
        precision: Any,
        batch_size: int | None = None,
        threads: int = 1,
    ) -> None:
        self.detector = load_detector(
            device,
            config=inputs.config,
            checkpoint=inputs.checkpoint,
            score_threshold=inputs.score_threshold,
            precision=precision,
            batch_size=batch_size,
            threads=threads,
        )
        self.frames = frames
        self._folder = inputs.folder / "shard"
        self.path = shard_path(self._folder, 0)
        self._detect = UnitDetector(
            self.detector,
            videos={"video": Video(id="video", path=inputs.video)},
            folder=self._folder,
        )

    def run(self) -> None:
        """Detect as `orn detect` does."""
        part = UnitPart(video_id="video", start=0, stop=self.frames)
        self._detect(Unit(index=0, parts=(part,)))


def frames_of(path: Path) -> list[FrameDetections]:
    """Return the detections of every frame of a shard."""
    shard = Shard(path)
    return [shard.frame(row) for row in range(shard.num_frames)]
