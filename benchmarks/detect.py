"""`orn bench detect`: detecting a video against a loop of inference_detector and pycocotools."""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor, wait
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

from benchmarks.detect_options import (
    checkpoint_option,
    device_option,
    frames_option,
    precision_option,
    video_option,
)
from benchmarks.options import json_option, out_option, repeats_option
from benchmarks.result import BenchResult, publish

__all__ = ["bench", "measure"]

_worker: Any


@click.command("detect")
@video_option
@checkpoint_option
@frames_option
@click.option(
    "--workers", type=click.IntRange(1), help="Our processes.  [default: as orn detect, one a core]"
)
@click.option(
    "--threads", type=click.IntRange(1), help="CPU threads of the loop.  [default: one a core]"
)
@device_option
@precision_option
@repeats_option
@json_option
@out_option
def bench(
    video: Path | None,
    checkpoint: Path | None,
    frames: int,
    workers: int | None,
    threads: int | None,
    device: str,
    precision: str,
    repeats: int,
    as_json: bool,
    out: Path | None,
) -> None:
    """Detecting a video against a loop of inference_detector, pycocotools and pickle.

    Same weights, same machine, in turns, Mask R-CNN with ResNet-50 at up to 800 x 1333. Each side
    has its usual settings: ours a process a core with one thread each, the loop one process with
    all threads. --workers 1 --threads 1 compares one core. Seconds are those of a frame, with
    processes started and weights loaded; the ratio is loop over ours. In float32 at least nine in
    ten of the loop's detections must be among ours.
    """
    from benchmarks.detect_inputs import make_inputs
    from shared.devices import devices_of_workers

    with tempfile.TemporaryDirectory() as name:
        result = measure(
            make_inputs(Path(name), video=video, checkpoint=checkpoint),
            folder=Path(name),
            frames=frames,
            devices=devices_of_workers(device, workers),
            threads=threads,
            precision=precision,
            repeats=repeats,
        )
    publish(result, as_json=as_json, out=out)


def measure(
    inputs: Any,
    *,
    folder: Path,
    frames: int,
    devices: tuple[str, ...],
    threads: int | None,
    precision: str,
    repeats: int,
) -> BenchResult:
    """Seconds a frame of both sides; each of our processes detects the frames that the loop does.

    Args:
        inputs: a `DetectInputs`: what to detect with, and where.
        folder: for what both sides write.
        frames: frames of the video that are detected.
        devices: the device of each of our processes; the loop has the first.
        threads: CPU threads of the loop; None: one a core, as torch has it without settings.
        precision: of our backbone.
        repeats: measurements of each side.
    """
    import torch

    from benchmarks.detect_agreement import agreement
    from benchmarks.gpu_busy import watching_gpu
    from benchmarks.inference_loop import InferenceLoop
    from benchmarks.timing import seconds_in_turns, using_threads
    from shared.environment import usable_cores
    from shared.shards.plan import shard_path

    with (
        using_threads(threads or usable_cores()),
        _Ours(inputs, folder, frames=frames, devices=devices, precision=precision) as ours,
    ):
        loop = InferenceLoop(inputs, device=devices[0])
        found, expected = ours.run(), loop.run(frames, folder / "loop.pkl")
        agreed = agreement(
            shard_path(folder, 0), folder / "loop.pkl", is_exact=precision == "float32"
        )
        our_seconds, loop_seconds = seconds_in_turns(
            ours.run, partial(loop.run, frames, folder / "loop.pkl"), repeats=repeats, warm_ups=0
        )
        with watching_gpu(devices[0]) as busy:
            ours.run()
        loop_threads = torch.get_num_threads()
    our_seconds, loop_seconds = our_seconds / frames / len(devices), loop_seconds / frames
    return BenchResult(
        name="detect",
        ratio=loop_seconds / our_seconds,
        ours=our_seconds,
        reference=loop_seconds,
        unit="seconds",
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


class _Ours:
    """Processes that each hold a detector and do the same unit into a shard of their own."""

    def __init__(
        self, inputs: Any, folder: Path, *, frames: int, devices: tuple[str, ...], precision: str
    ) -> None:
        context = get_context("spawn")
        free = context.SimpleQueue()
        for index, device in enumerate(devices):
            free.put((index, device))
        self._num_workers = len(devices)
        self._pool = ProcessPoolExecutor(
            len(devices),
            mp_context=context,
            initializer=_start,
            initargs=(inputs, folder, frames, precision, free, context.Barrier(len(devices))),
        )

    def __enter__(self) -> _Ours:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run(self) -> int:
        """Every process detects once; returns the number of detections of all."""
        tasks = [self._pool.submit(_detect) for _ in range(self._num_workers)]
        wait(tasks)
        return sum(task.result() for task in tasks)


class _Worker:
    """What one process holds; `detect` is the pipeline of `orn detect`."""

    def __init__(
        self, inputs: Any, folder: Path, frames: int, precision: Any, free: Any, barrier: Any
    ) -> None:
        from shared.manifests.records import Video
        from shared.shards.plan import Unit, UnitPart, shard_path
        from stage1_detect.mmdet.detector import load_detector
        from stage1_detect.unit_reader import UnitReader

        index, device = free.get()
        self._barrier = barrier
        self._detector = load_detector(
            device,
            config=inputs.config,
            checkpoint=inputs.checkpoint,
            score_threshold=inputs.score_threshold,
            precision=precision,
            threads=1,
        )
        self._source = UnitReader(
            {"video": Video(id="video", path=inputs.video)},
            batch=1 if device == "cpu" else 8,
            prepare=self._detector.prepare,
        )
        part = UnitPart(video_id="video", start=0, stop=frames)
        self._unit, self._path = Unit(index=index, parts=(part,)), shard_path(folder, index)

    def detect(self) -> int:
        from stage1_detect.pipeline import detect_unit

        self._barrier.wait()  # every process takes one task, none takes two
        result = detect_unit(
            self._unit, source=self._source, detector=self._detector, path=self._path
        )
        return result.detections


def _start(*arguments: Any) -> None:
    global _worker
    _worker = _Worker(*arguments)


def _detect() -> int:
    detections: int = _worker.detect()
    return detections
