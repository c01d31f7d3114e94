"""A detector and a video to measure detection with, and `orn detect`'s pipeline over both; and what
`orn bench gpu` has: a made film, and a Mask R-CNN with random weights whose score threshold 20
detections a frame reach, in any precision."""

import gc
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from orn.benchmarks.harness import Setting
from orn.benchmarks.made_inputs import moving_pictures, write_video
from orn.shared.cli_options import PRECISIONS
from orn.shared.errors import DetectorError
from orn.shared.jobs.plan import Unit, UnitPart
from orn.shared.manifests.records import Video
from orn.shared.shards.files import shard_path
from orn.shared.shards.shard import Shard
from orn.shared.video.read import read_frames
from orn.stage1_detect.detect import DEFAULT_CONFIG
from orn.stage1_detect.mmdet.config import read_config
from orn.stage1_detect.mmdet.detector import load_detector
from orn.stage1_detect.mmdet.fast import load_fast_detector
from orn.stage1_detect.mmdet.model import build_model, check_precision
from orn.stage1_detect.pipeline import UnitDetector

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

    @property
    def folder(self) -> Path:
        """For what is written."""
        return self.config.parent


@contextmanager
def temporary_inputs(video: Path | None, checkpoint: Path | None) -> Iterator[DetectInputs]:
    """Those of `make_inputs`, thrown away at the end."""
    with tempfile.TemporaryDirectory() as name:
        yield make_inputs(Path(name), video=video, checkpoint=checkpoint)


def with_searched_threshold(inputs: DetectInputs, device: str, *, frames: int) -> DetectInputs:
    """The same with the score that 20 detections a frame reach, in the mean over the first frames
    of the video; up to a hundred a frame, so that each has as many as it shows."""
    base = read_config(inputs.config).config.filename
    config = inputs.config.with_name(f"{inputs.config.stem}_searched.py")
    config.write_text(
        f"_base_ = {base!r}\nmodel = dict(test_cfg=dict(rcnn=dict(max_per_img=100)))\n"
    )
    lowest = replace(inputs, config=config, score_threshold=0.01)
    detector = Detection(lowest, frames=1, device=device, precision="float32").detector
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
        *,
        frames: int,
        device: str,
        precision: Any,
        fast: bool = False,
        threads: int = 1,
        shard: Path | None = None,
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
        self.path = shard or shard_path(inputs.folder, 0)
        self._video = inputs.video
        self.look_at(frames=frames, batch=1 if device == "cpu" else 8)

    def look_at(self, *, frames: int, batch: int, rounds: int = 1) -> None:
        """From now on so many frames of the video, so often over, in batches of so many."""
        self.batch = batch
        ids = ["video", *(f"video-{number}" for number in range(1, rounds))]
        parts = tuple(UnitPart(video_id=each, start=0, stop=frames) for each in ids)
        self._unit = Unit(index=0, parts=parts)
        videos = {each: Video(id=each, path=self._video) for each in ids}
        self._folder = self.path.with_suffix(".parts")
        self._detect = UnitDetector(
            self.detector, videos=videos, folder=self._folder, batch=self.batch
        )

    def run(self) -> int:
        """Detects as `orn detect` does; the number of detections."""
        self._detect(self._unit)
        shard_path(self._folder, 0).replace(self.path)
        return Shard(self.path).num_detections


_WAYS = (
    "fp32",
    "fp32-fast",
    "tf32",
    "fp16",
    "bf16",
    "tf32-fast",
    "fp16-heads-fast",
    "bf16-heads-fast",
)
"""Precisions as `--precision` has them, and whether the fast path is taken."""
_SPREAD = 30.0
"""Of random scores, which else lie within a hundredth of each other."""


def ways_of(device: str) -> list[str]:
    """The ways in which a device can detect, the ones that are worth most first."""
    return [each for each in _WAYS if _is_possible(each, device)]


def choice_of(way: str) -> tuple[Any, bool]:
    """Precision as shards record it, and whether the fast path is taken."""
    short = way.removesuffix("-fast")
    return PRECISIONS[short], short != way


def film_frames(setting: Setting) -> int:
    """Frames of the film that are looked at: all on a card, some on a slow CPU."""
    if setting.short:
        return 2
    return 96 if setting.is_cuda else 3


def looked_at(setting: Setting) -> int:
    """Frames in which detections are compared and parts are timed."""
    return min(film_frames(setting), 32)


@lru_cache(maxsize=1)
def inputs_of(setting: Setting) -> DetectInputs:
    """Made once for all processes."""
    path = setting.work / "inputs.pkl"
    if not path.is_file():
        height, width = (90, 160) if setting.short else (720, 1280)
        pictures = moving_pictures(film_frames(setting), height=height, width=width)
        film = write_video(setting.work / "film.mp4", pictures)
        made = make_inputs(
            setting.work, video=film, checkpoint=None, small=setting.short, spread=_SPREAD
        )
        found = with_searched_threshold(made, setting.device, frames=8 if setting.is_cuda else 2)
        path.write_bytes(pickle.dumps(found))
    inputs: DetectInputs = pickle.loads(path.read_bytes())  # of our own making
    return inputs


@lru_cache(maxsize=1)
def detection_of(setting: Setting, way: str) -> Detection:
    """Detector and film on the device; the last one stays, alone, as TF32 is a setting of the
    process and memory is measured."""
    forget_detection()
    precision, fast = choice_of(way)
    return Detection(
        inputs_of(setting), frames=1, device=setting.device, precision=precision, fast=fast
    )


def forget_detection() -> None:
    """Frees its memory."""
    detection_of.cache_clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _is_possible(way: str, device: str) -> bool:
    try:
        check_precision(choice_of(way)[0], torch.device(device))
    except DetectorError:
        return False
    return True
