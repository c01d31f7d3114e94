"""Detecting a video against the usual loop: mmdet's inference_detector, pycocotools, pickle."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from pycocotools import mask as coco_mask

from orn.benchmarks.detect_inputs import DetectInputs, Detection, temporary_inputs
from orn.benchmarks.harness import BenchResult, seconds_in_turns, using_threads, watching_gpu
from orn.shared.devices import devices_of_workers
from orn.shared.environment import usable_cores
from orn.shared.errors import PipelineError
from orn.shared.shards.files import shard_path
from orn.shared.shards.shard import Shard
from orn.stage1_detect.mmdet.library import (
    Compose,  # before mmdet, which needs its stand-in for mmcv
)
from orn.stage1_detect.mmdet.model import quiet

from mmdet.apis import inference_detector, init_detector  # isort: skip
from mmdet.utils import get_test_pipeline_cfg  # isort: skip


_BOX_TOLERANCE_PIXELS = 1.0
_SCORE_TOLERANCE = 0.01
"""Folded normalisations round otherwise, and OpenCV and PyAV make RGB of a film otherwise."""
_LEAST_SHARE = 0.9
"""For the same reasons a box near the threshold, or near another one, can be on one side only."""


def measure(
    *,
    video: Path | None,
    checkpoint: Path | None,
    device: str,
    workers: int | None,
    **options: Any,
) -> BenchResult:
    """See `compare`; a video and weights are made where none are given."""
    with temporary_inputs(video, checkpoint) as inputs:
        return compare(inputs, devices=devices_of_workers(device, workers), **options)


def compare(
    inputs: DetectInputs,
    *,
    frames: int,
    devices: tuple[str, ...],
    threads: int | None,
    precision: str,
    repeats: int,
    fast: bool = False,
) -> BenchResult:
    """Seconds a frame of both sides; each of our processes detects the frames that the loop does.

    Args:
        inputs: what to detect with, and where.
        frames: frames of the video that are detected.
        devices: the device of each of our processes; the loop has the first.
        threads: CPU threads of the loop; None: one a core, as torch has it without settings.
        precision: of our backbone.
        repeats: measurements of each side.
        fast: take the fast path of a GPU.
    """
    context = get_context("spawn")
    free = context.SimpleQueue()
    for index, name in enumerate(devices):
        shard = shard_path(inputs.folder, index)
        free.put(dict(device=name, shard=shard, frames=frames, precision=precision, fast=fast))
    settings = (inputs, free, context.Barrier(len(devices)))
    loop_path = inputs.folder / "loop.pkl"
    with (
        using_threads(threads or usable_cores()),
        ProcessPoolExecutor(
            len(devices), mp_context=context, initializer=_start, initargs=settings
        ) as pool,
    ):

        def ours() -> int:
            """Every process detects once; the number of detections of all."""
            tasks = [pool.submit(_detect) for _ in devices]
            return sum(task.result() for task in tasks)

        loop = LoopDetector(inputs, device=devices[0])
        theirs = partial(loop.run, frames, loop_path)
        found, expected = ours(), theirs()
        agreed = agreement(
            shard_path(inputs.folder, 0),
            loop_path,
            is_exact=precision == "float32" and not fast,
        )
        our_seconds, loop_seconds = seconds_in_turns(ours, theirs, repeats=repeats, warm_ups=0)
        with watching_gpu(devices[0]) as busy:
            ours()
        loop_threads = torch.get_num_threads()
    our_seconds, loop_seconds = our_seconds / frames / len(devices), loop_seconds / frames
    return BenchResult(
        name="detect",
        ours=our_seconds,
        reference=loop_seconds,
        details={
            "ours_frames_per_second": 1 / our_seconds,
            "reference_frames_per_second": 1 / loop_seconds,
            "ours_processes": len(devices),
            "ours_threads_each": 1,
            "ours_precision": precision,
            "reference_processes": 1,
            "reference_threads": loop_threads,
            "device": devices[0],
            "gpu_busy_share": busy.share,
            "detections_a_frame": found / frames / len(devices),
            "reference_detections_a_frame": expected / frames,
            **agreed,
            "weights": inputs.weights,
            "frames": frames,
            "repeats": repeats,
        },
    )


_detection: Detection
_barrier: Any


def _start(inputs: DetectInputs, free: Any, barrier: Any) -> None:
    """Loads the detector of a process, with the options of one that is free."""
    global _detection, _barrier
    _detection, _barrier = Detection(inputs, **free.get()), barrier


def _detect() -> int:
    _barrier.wait()  # every process takes one task, none takes two
    return _detection.run()


class LoopDetector:
    """A detector as `init_detector` makes it, and the loop over a video's first frames.

    As mmdet's demo/video_demo.py reads and detects; each frame's masks come as full pictures and
    are encoded, and everything is pickled when the video ends.
    """

    def __init__(self, inputs: DetectInputs, *, device: str) -> None:
        with quiet():
            self._model = init_detector(
                str(inputs.config), str(inputs.checkpoint), palette="coco", device=device
            )
            pipeline = get_test_pipeline_cfg(self._model.cfg.copy())
            pipeline[0].type = "mmdet.LoadImageFromNDArray"
            self._pipeline = Compose(pipeline)
        self._video = inputs.video

    def run(self, num_frames: int, out: Path) -> int:
        """Detects the first frames into a pickle; returns the number of detections."""
        results: list[dict[str, Any]] = []
        for frame in islice(mmcv.VideoReader(str(self._video)), num_frames):
            found = inference_detector(self._model, frame, test_pipeline=self._pipeline)
            instances = found.pred_instances
            masks_NHW = instances.masks.cpu().numpy()
            masks_HWN = np.asfortranarray(masks_NHW.transpose(1, 2, 0).astype(np.uint8))
            results.append(
                {
                    "boxes": instances.bboxes.cpu().numpy(),
                    "scores": instances.scores.cpu().numpy(),
                    "labels": instances.labels.cpu().numpy(),
                    "masks": coco_mask.encode(masks_HWN),
                }
            )
        with out.open("wb") as file:
            pickle.dump(results, file)
        return sum(len(result["scores"]) for result in results)


def agreement(shard_path: Path, loop_path: Path, *, is_exact: bool) -> dict[str, Any]:
    """How many of the loop's detections a shard of the same frames has too, for the record.

    Args:
        shard_path: the shard of the first frames of a video.
        loop_path: the pickle that the loop wrote.
        is_exact: whether both sides compute in float32, so that most must agree.

    Raises:
        PipelineError: if fewer than nine in ten agree, for `is_exact`; then times mean nothing.
    """
    shard = Shard(shard_path)
    frames = pickle.loads(loop_path.read_bytes())  # written by this process a moment ago
    is_same: list[bool] = []
    for row, expected in enumerate(frames):
        found = shard.frame(row)
        difference_EN4 = np.abs(expected["boxes"][:, None] - found.boxes[None])
        same_EN = (difference_EN4 <= _BOX_TOLERANCE_PIXELS).all(axis=2)
        same_EN &= np.abs(expected["scores"][:, None] - found.scores[None]) <= _SCORE_TOLERANCE
        same_EN &= expected["labels"][:, None] == found.labels[None]
        is_same += same_EN.any(axis=1).tolist()
    share = sum(is_same) / len(is_same) if is_same else 1.0
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
