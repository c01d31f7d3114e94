"""`orn bench detect-overhead`: everything in detect but the network, against the network."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
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

_PART_FRAMES = 48
"""Frames over which decoding, preparing and encoding are measured alone."""

_SHARD_FRAMES = 2000
"""Frames of a shard, over which its writing is measured."""


@click.command("detect-overhead")
@video_option
@checkpoint_option
@frames_option
@device_option
@precision_option
@repeats_option
@json_option
@out_option
def bench(
    video: Path | None,
    checkpoint: Path | None,
    frames: int,
    device: str,
    precision: str,
    repeats: int,
    as_json: bool,
    out: Path | None,
) -> None:
    """Everything in detect but the network, as a share of the network's time.

    One process with one thread, Mask R-CNN with ResNet-50 at up to 800 x 1333. Seconds are those of
    a frame: the CPU time of decoding, preparing, encoding and writing together, against the time of
    the network alone. overlapped_share is what they add to it when they run beside each other, as
    in orn detect. The ratio is network over the rest.
    """
    from benchmarks.detect_inputs import make_inputs
    from shared.devices import devices_of_workers

    with tempfile.TemporaryDirectory() as name:
        result = measure(
            make_inputs(Path(name), video=video, checkpoint=checkpoint),
            folder=Path(name),
            frames=frames,
            device=devices_of_workers(device, 1)[0],
            precision=precision,
            repeats=repeats,
        )
    publish(result, as_json=as_json, out=out)


def measure(
    inputs: Any, *, folder: Path, frames: int, device: str, precision: Any, repeats: int
) -> BenchResult:
    """Seconds a frame of the network, of the rest, and of both beside each other.

    Args:
        inputs: a `DetectInputs`: what to detect with, and where.
        folder: for the shards.
        frames: frames of the video that go through the network.
        device: of the network.
        precision: of the network.
        repeats: measurements of the network and of the whole pipeline, in turns.
    """
    from benchmarks.gpu_busy import watching_gpu
    from benchmarks.timing import seconds_in_turns, using_threads
    from stage1_detect.mmdet.detector import load_detector

    with using_threads(1):
        detector = load_detector(
            device,
            config=inputs.config,
            checkpoint=inputs.checkpoint,
            score_threshold=inputs.score_threshold,
            precision=precision,
            threads=1,
        )
        case = _Case(
            detector, inputs.video, folder, frames=frames, batch=1 if device == "cpu" else 8
        )
        network, pipeline = seconds_in_turns(case.run_network, case.run_pipeline, repeats=repeats)
        with watching_gpu(device) as busy:
            case.run_pipeline()
        parts = case.cpu_seconds_of_parts()
    network, pipeline = network / frames, pipeline / frames
    rest = sum(parts.values())
    return BenchResult(
        name="detect-overhead",
        ratio=network / rest,
        ours=rest,
        reference=network,
        unit="seconds",
        details={
            "share": rest / network,
            "overlapped_share": pipeline / network - 1,
            "pipeline_seconds": pipeline,
            "frames_per_second": 1 / pipeline,
            **{f"{name}_cpu_seconds": seconds for name, seconds in parts.items()},
            "detections_a_frame": case.detections / frames,
            "weights": inputs.weights,
            "device": device,
            "precision": precision,
            "gpu_busy_share": busy.share,
            "threads": 1,
            "frames": frames,
            "repeats": repeats,
        },
    )


class _Case:
    """A detector with frames that are prepared for it."""

    def __init__(
        self, detector: Any, video: Path, folder: Path, *, frames: int, batch: int
    ) -> None:
        from shared.manifests.records import Video
        from shared.shards.plan import Unit, UnitPart, shard_path
        from shared.video.read import read_frames
        from stage1_detect.unit_reader import UnitReader

        self._detector, self._video, self._batch = detector, video, batch
        self._images = [frame.image for frame in islice(read_frames(video), frames)]
        self._prepared = [detector.prepare(image) for image in self._images]
        self._found: Sequence[Any] = ()
        part = UnitPart(video_id="video", start=0, stop=len(self._images))
        self._unit, self._path = Unit(index=0, parts=(part,)), shard_path(folder, 0)
        videos = {"video": Video(id="video", path=video)}
        self._source = UnitReader(videos, batch=batch, prepare=detector.prepare)
        self.detections = 0

    def run_network(self) -> None:
        """The network alone, on frames that are prepared."""
        self._found = [
            found
            for start in range(0, len(self._prepared), self._batch)
            for found in self._detector.infer(self._prepared[start : start + self._batch])
        ]

    def run_pipeline(self) -> None:
        """The same frames from the video to a shard, as `orn detect` does it."""
        from stage1_detect.pipeline import detect_unit

        result = detect_unit(
            self._unit, source=self._source, detector=self._detector, path=self._path
        )
        self.detections = result.detections

    def cpu_seconds_of_parts(self) -> dict[str, float]:
        """CPU seconds a frame of each part, one after the other; after a run of the network."""
        from shared.video.read import read_frames

        def repeated(items: Sequence[Any]) -> list[Any]:
            return [items[index % len(items)] for index in range(_PART_FRAMES)]

        images, found = repeated(self._images), repeated(self._found)
        encoded = [self._detector.encode(each) for each in self._found]
        num_decoded = 0

        def decode() -> None:
            nonlocal num_decoded
            num_decoded = sum(1 for _ in islice(read_frames(self._video), _PART_FRAMES))

        decode_seconds = _cpu_seconds(decode)
        return {
            "decode": decode_seconds / num_decoded,
            "prepare": _cpu_seconds(lambda: [self._detector.prepare(each) for each in images])
            / _PART_FRAMES,
            "encode": _cpu_seconds(lambda: [self._detector.encode(each) for each in found])
            / _PART_FRAMES,
            "write": _cpu_seconds(lambda: self._write(encoded)) / _SHARD_FRAMES,
        }

    def _write(self, encoded: Sequence[Any]) -> None:
        """A shard of the usual size, its frames repeated."""
        from shared.shards.writer import ShardWriter

        with ShardWriter(self._path, self._detector.entry) as writer:
            writer.begin_video(
                "video",
                height=encoded[0].height,
                width=encoded[0].width,
                rate=25.0,
                header_frames=None,
                source_bytes=0,
                source_digest="",
            )
            for index in range(_SHARD_FRAMES):
                writer.add(index, index / 25, encoded[index % len(encoded)])
            writer.end_video()


def _cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of all threads of this process, of the second of two calls."""
    work()
    began = time.process_time()
    work()
    return time.process_time() - began
