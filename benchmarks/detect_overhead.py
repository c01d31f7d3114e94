"""Everything in detect but the network, against the network."""

import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from orn.benchmarks.detect_inputs import DetectInputs, Detection, temporary_inputs
from orn.benchmarks.harness import BenchResult, seconds_in_turns, using_threads, watching_gpu
from orn.benchmarks.made_inputs import write_detections
from orn.shared.devices import devices_of_workers
from orn.shared.shards.writer import ShardWriter
from orn.shared.video.read import read_frames

_PART_FRAMES = 48
"""Frames over which decoding, preparing and encoding are measured alone."""
_SHARD_FRAMES = 2000
"""Frames of a shard, over which its writing is measured."""


def measure(
    *, video: Path | None, checkpoint: Path | None, device: str, **options: Any
) -> BenchResult:
    """See `compare`; a video and weights are made where none are given."""
    with temporary_inputs(video, checkpoint) as inputs:
        (device,) = devices_of_workers(device, 1)
        return compare(inputs, device=device, **options)


def compare(
    inputs: DetectInputs, *, frames: int, device: str, precision: str, repeats: int
) -> BenchResult:
    """Seconds a frame of the network, of the rest, and of both beside each other; the network and
    the whole pipeline are measured in turns."""
    with using_threads(1):
        detection = Detection(inputs, frames=frames, device=device, precision=precision)
        detector = detection.detector
        images = [frame.image for frame in islice(read_frames(inputs.video), frames)]
        prepared = [detector.prepare(image) for image in images]
        starts = range(0, len(prepared), detection.batch)

        def network_alone() -> list[Any]:
            batches = (prepared[start : start + detection.batch] for start in starts)
            return [found for batch in batches for found in detector.infer(batch)]

        network, pipeline = seconds_in_turns(network_alone, detection.run, repeats=repeats)
        with watching_gpu(device) as busy:
            detections = detection.run()
        parts = _cpu_seconds_of_parts(detection, inputs.video, images, network_alone())
    network, pipeline = network / frames, pipeline / frames
    rest = sum(parts.values())
    return BenchResult(
        name="detect-overhead",
        ours=rest,
        reference=network,
        details={
            "share": rest / network,
            "overlapped_share": pipeline / network - 1,
            "pipeline_seconds": pipeline,
            "frames_per_second": 1 / pipeline,
            **{f"{name}_cpu_seconds": seconds for name, seconds in parts.items()},
            "detections_a_frame": detections / frames,
            "weights": inputs.weights,
            "device": device,
            "precision": precision,
            "gpu_busy_share": busy.share,
            "threads": 1,
            "frames": frames,
            "repeats": repeats,
        },
    )


def _cpu_seconds_of_parts(
    detection: Detection, video: Path, images: Sequence[Any], found: Sequence[Any]
) -> dict[str, float]:
    """CPU seconds a frame of each part, one after the other."""
    detector = detection.detector
    encoded = [detector.encode(each) for each in found]

    def decode() -> int:
        return sum(1 for _ in islice(read_frames(video), _PART_FRAMES))

    def repeated(work: Callable[[Any], object], items: Sequence[Any]) -> float:
        chosen = list(islice(cycle(items), _PART_FRAMES))
        return _cpu_seconds(lambda: [work(item) for item in chosen]) / _PART_FRAMES

    return {
        "decode": _cpu_seconds(decode) / decode(),
        "prepare": repeated(detector.prepare, images),
        "encode": repeated(detector.encode, found),
        "write": _cpu_seconds(lambda: _write(detection, encoded)) / _SHARD_FRAMES,
    }


def _write(detection: Detection, encoded: Sequence[Any]) -> None:
    """A shard of the usual size, its frames repeated."""
    with ShardWriter(detection.path, detection.detector.entry) as writer:
        write_detections(writer, "video", islice(cycle(encoded), _SHARD_FRAMES))


def _cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of all threads of this process, of the second of two calls."""
    return seconds_in_turns(work, repeats=1, clock=time.process_time)[0]
