"""Detection of a video, compared with the usual loop of inference_detector and pickle."""

import pickle
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from pycocotools import mask as coco_mask
from torch.profiler import ProfilerActivity, profile
from torch.utils.benchmark import set_torch_threads
from torchvision.ops import box_iou

from orn.benchmarks.detect_inputs import DetectInputs, Detection, frames_of, make_inputs
from orn.benchmarks.made_inputs import write_detections
from orn.benchmarks.measuring import Comparison, seconds_in_turns
from orn.benchmarks.memory import long_over_short
from orn.benchmarks.requests import DetectBenchRequest
from orn.shared.devices import devices_of_workers
from orn.shared.environment import usable_cores
from orn.shared.errors import PipelineError
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.files import shard_path
from orn.shared.shards.writer import ShardWriter
from orn.shared.video.read import read_frames
from orn.stage1_detect.mmdet.first_stage import unwatched
from orn.stage1_detect.mmdet.library import (
    Compose,  # before mmdet, since it replaces mmcv's operators
)
from orn.stage1_detect.mmdet.model import quiet

from mmdet.apis import inference_detector, init_detector  # isort: skip
from mmdet.utils import get_test_pipeline_cfg  # isort: skip


_BOX_TOLERANCE_PIXELS = 1.0
_SCORE_TOLERANCE = 0.01
"""Folded normalization layers and the RGB conversions of OpenCV and PyAV round differently."""
_LEAST_SHARE = 0.9
"""For the same reasons, boxes near the threshold or each other can be missing from one side."""
_SAME_OVERLAP = 0.5
"""Minimum IoU of two boxes of the same object and class."""
_SHARD_FRAMES = 2000
"""Number of frames in a shard for measuring writes."""
_NOT_NETWORK = ("decode", "prepare", "encode", "write")


def measure(request: DetectBenchRequest) -> Comparison:
    """Return the time per frame of both sides, the time of each stage of our detection, the
    deviation of our detections from float32 on the CPU, and the memory used for a long video.

    Raises:
        PipelineError: if the detections of both sides differ in float32.
    """
    devices = devices_of_workers(request.device, request.workers)
    device, frames = devices[0], 2 if request.tiny else request.frames
    options: dict[str, Any] = {
        "frames": frames,
        "precision": request.precision,
        "batch": request.batch,
    }
    with tempfile.TemporaryDirectory() as name:
        inputs = make_inputs(
            Path(name),
            video=request.video,
            checkpoint=request.checkpoint,
            device=device,
            tiny=request.tiny,
        )
        torch.backends.cudnn.allow_tf32 = True  # torch's default; our detector sets its own
        loop = LoopDetector(inputs, device=device)
        found = _compare(inputs, loop, options, devices=devices, request=request)
        alone = Detection(inputs, device=device, **options)
        with set_torch_threads(1):
            found |= _parts(alone, inputs.video, device=device)
        if device != "cpu":
            found |= _on_card(alone)
        if not request.is_exact or device != "cpu":
            found["against_float32_on_cpu"] = _equality(alone, inputs)
    found["memory"] = long_over_short(request.memory, tiny=request.tiny)
    return Comparison(
        name="detect",
        ours=found.pop("ours_seconds"),
        reference=found.pop("reference_seconds"),
        details={
            **found,
            **options,
            "device": device,
            "weights": inputs.weights,
            "repeats": request.repeats,
        },
    )


def _compare(
    inputs: DetectInputs,
    loop: "LoopDetector",
    options: dict[str, Any],
    *,
    devices: tuple[str, ...],
    request: DetectBenchRequest,
) -> dict[str, Any]:
    """Return the time per frame of both sides; each of our processes detects the loop's frames."""
    frames, threads = options["frames"], request.threads or usable_cores()
    context = get_context("spawn")
    free = context.SimpleQueue()
    for index, name in enumerate(devices):
        free.put({**options, "device": name, "name": f"process-{index}"})
    settings = (inputs, free, context.Barrier(len(devices)))
    with ProcessPoolExecutor(
        len(devices), mp_context=context, initializer=_start, initargs=settings
    ) as pool:

        def ours() -> None:
            """Detect once in every process."""
            for task in [pool.submit(_detect) for _ in devices]:
                task.result()

        ours()
        found = frames_of(shard_path(inputs.folder / "process-0", 0))
        agreed = compare_frames(found, loop.run(frames))
        if request.is_exact:
            require_same_objects(agreed)
        seconds, loop_seconds = seconds_in_turns(
            ours, partial(loop.run, frames), repeats=request.repeats, threads=threads
        )
    seconds, loop_seconds = seconds / frames / len(devices), loop_seconds / frames
    return {
        "ours_seconds": seconds,
        "reference_seconds": loop_seconds,
        "ours_frames_per_second": 1 / seconds,
        "reference_frames_per_second": 1 / loop_seconds,
        "ours_processes": len(devices),
        "ours_threads_each": 1,
        "reference_threads": threads,
        "detections_a_frame": sum(map(len, found)) / frames,
        **agreed,
    }


_detection: Detection
_barrier: Any


def _start(inputs: DetectInputs, free: Any, barrier: Any) -> None:
    """Load the detector of a process, with the next free options."""
    global _detection, _barrier
    _detection, _barrier = Detection(inputs, **free.get()), barrier


def _detect() -> None:
    _barrier.wait()  # so that each process runs exactly one task
    _detection.run()


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
        self._video, self._out = inputs.video, inputs.folder / "loop.pkl"

    def run(self, num_frames: int) -> list[FrameDetections]:
        """Detect the first frames and write a pickle."""
        results: list[FrameDetections] = []
        for frame in islice(mmcv.VideoReader(str(self._video)), num_frames):
            found = inference_detector(self._model, frame, test_pipeline=self._pipeline)
            instances = found.pred_instances
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
                    masks=tuple(each["counts"] for each in coco_mask.encode(masks_HWN)),
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
            masks = [sizes | {"counts": each} for each in (one.masks[same], other.masks[place])]
            ious.append(float(coco_mask.iou(masks[:1], masks[1:], [0])[0, 0]))
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


class _PartTimer:
    """Measures the time of named stages, with the device synchronized."""

    def __init__(self, device: str) -> None:
        self._is_cuda = device.startswith("cuda")
        self.seconds: dict[str, float] = defaultdict(float)
        self.cpu_seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began, cpu_began = self._now()
        yield
        ended, cpu_ended = self._now()
        self.seconds[name] += ended - began
        self.cpu_seconds[name] += cpu_ended - cpu_began

    def _now(self) -> tuple[float, float]:
        if self._is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()


def _parts(detection: Detection, video: Path, *, device: str) -> dict[str, Any]:
    """Return the time per frame of each stage of detection, run sequentially; `orn detect` overlaps
    decoding and encoding with the network. On a CPU, masks are pasted during encoding."""
    detector: Any = detection.detector
    for _ in range(2):  # the first round is a warm-up
        timer = detector.during = _PartTimer(device)
        frames = iter(read_frames(video))
        kept: list[FrameDetections] = []
        for _ in range(0, detection.frames, detection.batch):
            with timer("decode"):
                images = [frame.image for frame in islice(frames, detection.batch)]
            with timer("prepare"):
                prepared = [detector.prepare(image) for image in images]
            found = detector.infer(prepared)
            with timer("encode"):
                kept += [detector.encode(each) for each in found]
        with ShardWriter(detection.path, detector.entry) as writer, timer("write"):
            write_detections(writer, "video", islice(cycle(kept), _SHARD_FRAMES))
    detector.during = unwatched
    counts = defaultdict(lambda: len(kept), write=_SHARD_FRAMES)
    parts = {name: seconds / counts[name] for name, seconds in timer.seconds.items()}
    cpu = {name: seconds / counts[name] for name, seconds in timer.cpu_seconds.items()}
    network = sum(seconds for name, seconds in parts.items() if name not in _NOT_NETWORK)
    return {
        "parts_seconds": parts,
        "parts_cpu_seconds": cpu,
        "rest_over_network": sum(cpu[name] for name in _NOT_NETWORK) / network,
    }


def _on_card(detection: Detection) -> dict[str, Any]:
    """Return the peak GPU memory, the fraction of time in kernels, and the 40 slowest kernels."""
    torch.cuda.reset_peak_memory_stats()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        began = time.perf_counter()
        detection.run()
        seconds = time.perf_counter() - began
    averages = profiler.key_averages()
    on_card = sum(each.self_device_time_total for each in averages) / 1e6
    table = averages.table(sort_by="self_device_time_total", row_limit=40, max_name_column_width=80)
    return {
        "peak_bytes": torch.cuda.max_memory_allocated(),
        "kernels_share": on_card / seconds,
        "kernels": table.splitlines(),
    }


def _equality(detection: Detection, inputs: DetectInputs) -> dict[str, Any]:
    plain = Detection(
        inputs,
        frames=min(detection.frames, 4),
        device="cpu",
        precision="float32",
        threads=usable_cores(),
        name="plain",
    )
    plain.run()
    detection.run()
    return compare_frames(frames_of(detection.path)[: plain.frames], frames_of(plain.path))
