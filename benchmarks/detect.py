"""Detection of a video, compared with the usual loop of inference_detector and pickle."""

import pickle
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from pycocotools import mask as coco_mask
from torch.utils.benchmark import set_torch_threads
from torchvision.ops import box_iou

from orn.benchmarks.made_inputs import moving_pictures, write_video
from orn.benchmarks.measuring import Comparison, run
from orn.benchmarks.memory import long_over_short
from orn.data_manifests.records import Video
from orn.shared.devices import choose_device
from orn.shared.errors import PipelineError
from orn.shared.jobs.plan import Unit, UnitPart
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import shard_path
from orn.shared.video.read import read_frames
from orn.stage1_detect.choose_detector import DEFAULT_CONFIG
from orn.stage1_detect.detect_unit import UnitDetector
from orn.stage1_detect.mmdet.detector import load_detector
from orn.stage1_detect.mmdet.model import (
    Compose,  # before mmdet, since it replaces mmcv's operators
    build_model,
    quiet,
    read_config,
)

from mmdet.apis import inference_detector, init_detector  # isort: skip
from mmdet.utils import get_test_pipeline_cfg  # isort: skip


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


def make_inputs(
    folder: Path, device: str, *, video: Path | None, checkpoint: Path | None, tiny: bool
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
    detections = [frame for image in images for frame in detector.detect([image])]
    scores = sorted(np.concatenate([frame.scores for frame in detections]).tolist(), reverse=True)
    rank = min(_DETECTIONS * len(detections), len(scores) - 1)
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
    ) -> None:
        self.detector = load_detector(
            device,
            config=inputs.config,
            checkpoint=inputs.checkpoint,
            score_threshold=inputs.score_threshold,
            precision=precision,
            batch_size=batch_size,
            threads=1,
        )
        self.frames = frames
        self._folder = inputs.config.with_name("shard")
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


_BOX_TOLERANCE_PIXELS = 1.0
_SCORE_TOLERANCE = 0.01
"""The RGB conversions of OpenCV and PyAV round differently."""
_LEAST_SHARE = 0.9
"""For the same reason, boxes near the threshold or each other can be missing from one side."""
_SAME_OVERLAP = 0.5
"""Minimum IoU of two boxes of the same object and class."""


def measure(
    *,
    video: str = "",
    checkpoint: str = "",
    frames: int = 3,
    device: str = "auto",
    precision: str = "fp32",
    batch_size: int = 0,
    short: int = 2000,
    long: int = 20_000,
    repeats: int = 3,
    tiny: bool = False,
) -> Comparison:
    """Return the time per frame of both sides with one compute thread each, of each stage of our
    detection, and the memory used for a long video.

    On a CPU, the ratio is one of CPU times, so that other processes and the overlap of our stages
    do not count; on a GPU, of wall times.

    Args:
        video: a video file; empty: a generated video.
        checkpoint: weights of mask-rcnn_r50_fpn_ms-poly-3x_coco; empty: random ones.
        frames: number of frames per measurement.
        device: cpu, cuda, cuda:1, ...; auto selects a GPU if there is one.
        precision: fp32 or bf16, of our backbone; the loop uses fp32.
        batch_size: frames per forward pass of the detector; 0: 1, on a GPU 8.
        short: frames of the short video for peak memory.
        long: frames of the long video for peak memory; 0: skip.
        repeats: number of measurements of each side.
        tiny: whether to use tiny sizes, for a test run.

    Raises:
        PipelineError: if the detections of both sides differ in float32.
    """
    device, frames = choose_device(device), 2 if tiny else frames
    is_exact = precision == "fp32"
    with tempfile.TemporaryDirectory() as name, set_torch_threads(1):
        inputs = make_inputs(
            Path(name),
            device,
            video=Path(video) if video else None,
            checkpoint=Path(checkpoint) if checkpoint else None,
            tiny=tiny,
        )
        torch.backends.cudnn.allow_tf32 = True  # torch's default; our detector sets its own
        loop = LoopDetector(inputs, device=device)
        ours = Detection(
            inputs,
            frames=frames,
            device=device,
            precision="float32" if is_exact else "bfloat16",
            batch_size=batch_size or None,
        )
        ours.run()
        detections = [frame.detections for frame in Shard(ours.path)]
        agreed = compare_frames(detections, loop.run(frames))
        if is_exact:
            require_same_objects(agreed)
        stages = _watched_stages(ours.detector)
        rounds = [
            [*_timed(ours.run, device), *_timed(lambda: loop.run(frames), device)]
            for _ in range(repeats)
        ]
        peak = torch.cuda.max_memory_allocated() if device != "cpu" else None
    wall, cpu, loop_wall, loop_cpu = (
        statistics.median(times) / frames for times in zip(*rounds, strict=True)
    )
    of_cpu = device == "cpu"
    return Comparison(
        name="detect",
        ours=cpu if of_cpu else wall,
        reference=loop_cpu if of_cpu else loop_wall,
        details={
            "compared": "CPU time per frame and thread" if of_cpu else "wall time per frame",
            "ours_wall_seconds": wall,
            "reference_wall_seconds": loop_wall,
            "stages_cpu_seconds": {
                stage: seconds / frames / repeats for stage, seconds in stages.items()
            },
            "gpu_peak_bytes": peak,
            **agreed,
            "memory": long_over_short(short, long, tiny=tiny),
            "frames": frames,
            "repeats": repeats,
            "precision": precision,
            "batch_size": ours.detector.entry.batch_size,
            "device": device,
            "weights": inputs.weights,
        },
    )


def _timed(run: Callable[[], object], device: str) -> tuple[float, float]:
    """Return the wall time and the CPU time of a call."""
    began, cpu_began = time.perf_counter(), time.process_time()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began, time.process_time() - cpu_began


def _watched_stages(detector: Any) -> dict[str, float]:
    """Return the CPU time of the network and of encoding, which run in different threads; it is
    added up from now on."""
    seconds = {"infer": 0.0, "encode": 0.0}

    def watched(stage: str, method: Callable[..., Any], *arguments: Any) -> Any:
        began = time.thread_time()
        try:
            return method(*arguments)
        finally:
            seconds[stage] += time.thread_time() - began

    for stage in seconds:
        setattr(detector, stage, partial(watched, stage, getattr(detector, stage)))
    return seconds


class LoopDetector:
    """A detector from `init_detector` that loops over the first frames of a video.

    Reads and detects like mmdet's demo/video_demo.py. Full-size masks of each frame are encoded,
    and all results are pickled at the end of the video.
    """

    def __init__(self, inputs: DetectInputs, *, device: str) -> None:
        with quiet():
            self._model = init_detector(
                str(inputs.config), str(inputs.checkpoint), palette="coco", device=device
            )
            pipeline = get_test_pipeline_cfg(self._model.cfg.copy())
            pipeline[0].type = "mmdet.LoadImageFromNDArray"
            self._pipeline = Compose(pipeline)
        self._video, self._out = inputs.video, inputs.config.with_name("loop.pkl")

    def run(self, num_frames: int) -> list[FrameDetections]:
        """Detect the first frames and write a pickle."""
        results: list[FrameDetections] = []
        for frame in islice(mmcv.VideoReader(str(self._video)), num_frames):
            sample = inference_detector(self._model, frame, test_pipeline=self._pipeline)
            instances = sample.pred_instances
            masks_NHW = instances.masks.cpu().numpy()
            masks_HWN = np.asfortranarray(masks_NHW.transpose(1, 2, 0).astype(np.uint8))
            results.append(
                FrameDetections(
                    height=masks_NHW.shape[1],
                    width=masks_NHW.shape[2],
                    boxes=instances.bboxes.cpu().numpy(),
                    scores=instances.scores.cpu().numpy(),
                    labels=instances.labels.cpu().numpy().astype(np.uint16),
                    class_scores=None,
                    masks=tuple(mask["counts"] for mask in coco_mask.encode(masks_HWN)),
                )
            )
        self._out.write_bytes(pickle.dumps(results))
        return results


def compare_frames(
    ours: Sequence[FrameDetections], theirs: Sequence[FrameDetections]
) -> dict[str, Any]:
    """Return the differences between two sets of detections of the same frames.

    Each of their detections is matched with the one of ours that has the same class and the highest
    IoU, if that is at least one half. `agreeing_share` is the fraction whose boxes and scores also
    agree up to rounding. Differences are computed over the matches.
    """
    boxes, scores, ious = [0.0], [0.0], []
    for one, other in zip(ours, theirs, strict=True):
        overlaps_EN = box_iou(torch.tensor(other.boxes), torch.tensor(one.boxes)).numpy()
        overlaps_EN = overlaps_EN * (other.labels[:, None] == one.labels)
        sizes = {"size": [other.height, other.width]}
        for place, overlaps_N in enumerate(overlaps_EN):
            if not len(overlaps_N) or overlaps_N.max() < _SAME_OVERLAP:
                continue
            same = int(overlaps_N.argmax())
            boxes.append(float(np.abs(one.boxes[same] - other.boxes[place]).max()))
            scores.append(abs(float(one.scores[same]) - float(other.scores[place])))
            masks = [sizes | {"counts": mask} for mask in (one.masks[same], other.masks[place])]
            is_equal = masks[0] == masks[1]  # also if both are empty
            ious.append(float(is_equal or coco_mask.iou(masks[:1], masks[1:], [0])[0, 0]))
    total = sum(map(len, theirs))
    pairs = zip(boxes[1:], scores[1:], strict=True)
    agreeing = [box <= _BOX_TOLERANCE_PIXELS and score <= _SCORE_TOLERANCE for box, score in pairs]
    return {
        "reference_detections": total,
        "agreeing_share": sum(agreeing) / total if total else 1.0,
        "agreeing_box_pixels": _BOX_TOLERANCE_PIXELS,
        "agreeing_score": _SCORE_TOLERANCE,
        "matched_share": len(ious) / total if total else 1.0,
        "largest_box_pixels": max(boxes),
        "largest_score": max(scores),
        "equal_mask_share": float(np.mean([iou == 1 for iou in ious] or [True])),
        "mean_mask_iou": float(np.mean(ious or [1.0])),
        "least_mask_iou": min(ious, default=1.0),
    }


def require_same_objects(agreed: dict[str, Any]) -> None:
    """Raise PipelineError if too few of the loop's detections match ours to compare times."""
    if agreed["agreeing_share"] < _LEAST_SHARE:
        raise PipelineError(
            f"detections of the loop: expected at least {_LEAST_SHARE:.0%} of them among ours, got "
            f"{agreed['agreeing_share']:.1%}, so times are not comparable; try a different --video"
        )


if __name__ == "__main__":
    run(measure)
