"""A detector and a video to measure detection with, and `orn detect`'s pipeline over both."""

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from benchmarks.made_inputs import moving_pictures, write_video
from shared.manifests.records import Video
from shared.shards.plan import Unit, UnitPart, shard_path
from shared.video.read import read_frames
from stage1_detect.mmdet.config import read_config
from stage1_detect.mmdet.detector import load_detector
from stage1_detect.mmdet.fast import load_fast_detector
from stage1_detect.mmdet.model import build_model
from stage1_detect.pipeline import detect_unit
from stage1_detect.request import DEFAULT_CONFIG
from stage1_detect.unit_reader import UnitReader

_FORCED_DETECTIONS = 20
"""Detections of every frame with random weights."""
_SCORE_THRESHOLD = 0.3
_LEADING_LOGIT = 5.0
"""Bias of the class person with random weights: proposals score about 0.6 for it, and none reaches
the threshold for another class."""


_SMALL = (
    "model['test_cfg']['rpn'] = dict(max_per_img=40)\n"
    "test_dataloader = dict(dataset=dict(pipeline=["
    "dict(type='LoadImageFromFile'), dict(type='Resize', scale=(160, 96), keep_ratio=True), "
    "dict(type='PackDetInputs', meta_keys=('ori_shape', 'img_shape', 'scale_factor'))]))\n"
)
"""Added to a config that tests run."""


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


def with_searched_threshold(inputs: DetectInputs, device: str, *, frames: int) -> DetectInputs:
    """The same with the score that 20 detections a frame reach, in the mean over the first frames
    of the video; up to a hundred a frame, so that each has as many as it shows."""
    base = read_config(inputs.config).config.filename
    config = inputs.config.with_name(f"{inputs.config.stem}_searched.py")
    config.write_text(
        f"_base_ = {base!r}\nmodel = dict(test_cfg=dict(rcnn=dict(max_per_img=100)))\n"
    )
    lowest = replace(inputs, config=config, score_threshold=0.01)
    detector = Detection(
        lowest, config.parent, frames=1, device=device, precision="float32"
    ).detector
    images = [frame.image for frame in islice(read_frames(inputs.video), frames)]
    found = [frame for image in images for frame in detector.detect([image])]
    scores = sorted((score for frame in found for score in frame.scores.tolist()), reverse=True)
    rank = min(_FORCED_DETECTIONS * len(found), len(scores)) - 1
    return replace(
        lowest,
        score_threshold=scores[rank],
        weights=f"random, a threshold that {_FORCED_DETECTIONS} a frame reach",
    )


def make_inputs(
    folder: Path,
    *,
    video: Path | None,
    checkpoint: Path | None,
    small: bool = False,
    spread: float = 1.0,
) -> DetectInputs:
    """The given video and weights of the default detector, or made ones.

    Made weights are random, so what they find means nothing. It is made to be as much as in real
    footage: exactly 20 detections a frame, the best of about a thousand proposals of one class
    after suppression. Their masks are noise, with more runs than those of real objects. `small` has
    frames resized into 160 x 96 pixels and few proposals made; `spread` multiplies the differences
    of random scores: in a narrow range, round-off decides which detections reach a threshold.
    """
    base = Path(read_config(DEFAULT_CONFIG).config.filename)
    config = folder / f"{DEFAULT_CONFIG}.py"
    limit = _FORCED_DETECTIONS if checkpoint is None else 100
    config.write_text(
        f"_base_ = {str(base)!r}\nmodel = dict(test_cfg=dict(rcnn=dict("
        f"score_thr={_SCORE_THRESHOLD}, max_per_img={limit})))\n" + (_SMALL if small else "")
    )
    if video is None:
        video = write_video(folder / "video.mp4", moving_pictures(64, height=360, width=640))
    forced = f"random, {_FORCED_DETECTIONS} detections a frame forced"
    return DetectInputs(
        config=config,
        checkpoint=checkpoint or _save_random_weights(config, folder / "random.pth", spread),
        score_threshold=_SCORE_THRESHOLD,
        video=video,
        weights=forced if checkpoint is None else checkpoint.name,
    )


def _save_random_weights(config: Path, path: Path, spread: float) -> Path:
    torch.manual_seed(0)
    model = build_model(read_config(config), initialise=True)
    with torch.no_grad():
        model.roi_head.bbox_head.fc_cls.bias[0] = _LEADING_LOGIT
        model.roi_head.bbox_head.fc_cls.weight *= spread
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
        fast: bool = False,
        threads: int = 1,
        index: int = 0,
    ) -> None:
        load: Any = load_fast_detector if fast else load_detector
        self.detector = load(
            device,
            config=inputs.config,
            checkpoint=inputs.checkpoint,
            score_threshold=inputs.score_threshold,
            precision=precision,
            threads=threads,
        )
        self.folder, self.index = folder, index
        self.look_at(inputs.video, frames=frames, batch=1 if device == "cpu" else 8)

    def look_at(self, video: Path, *, frames: int, batch: int, rounds: int = 1) -> None:
        """From now on the first frames of this video, so often over, in batches of so many."""
        self.batch = batch
        self.path = shard_path(self.folder, self.index)
        ids = ["video", *(f"video-{number}" for number in range(1, rounds))]
        parts = tuple(UnitPart(video_id=each, start=0, stop=frames) for each in ids)
        self._unit = Unit(index=self.index, parts=parts)
        videos = {each: Video(id=each, path=video) for each in ids}
        self._source = UnitReader(videos, batch=self.batch, prepare=self.detector.prepare)

    def run(self) -> int:
        """Detects as `orn detect` does; the number of detections."""
        result = detect_unit(
            self._unit, source=self._source, detector=self.detector, path=self.path
        )
        return result.detections
