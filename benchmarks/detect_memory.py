"""`orn bench detect-memory`: peak memory of detecting a long video against a short one."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.result import BenchResult
from shared.masks.coco_classes import COCO_CLASSES
from shared.masks.detections import FrameDetections
from shared.masks.rle import encode_crop
from shared.shards.schema import DetectorEntry

__all__ = ["StripedDetector", "detect_video", "measure"]

HEIGHT, WIDTH = 120, 160
NUM_DETECTIONS = 20
_BATCH = 8


def measure(*, short: int, long: int, network: bool) -> BenchResult:
    """Peak resident bytes of both.

    Args:
        short: frames of the short video.
        long: frames of the long one.
        network: detect with the demo's Mask R-CNN.
    """
    with tempfile.TemporaryDirectory() as name:
        peaks = {}
        for frames in (short, long):
            video = _write_video(Path(name) / f"{frames}.mp4", frames)
            peaks[frames] = _peak_in_a_process(video, frames, network=network)
    before = {frames: peak["before_bytes"] for frames, peak in peaks.items()}
    ours, reference = peaks[long]["peak_bytes"], peaks[short]["peak_bytes"]
    return BenchResult(
        name="detect-memory",
        ratio=reference / ours,
        ours=ours,
        reference=reference,
        unit="bytes",
        details={
            "growth": ours / reference - 1,
            "short_frames": short,
            "long_frames": long,
            "short_bytes_above_start": reference - before[short],
            "long_bytes_above_start": ours - before[long],
            "detections": {frames: peak["detections"] for frames, peak in peaks.items()},
            "shards": {frames: peak["shards"] for frames, peak in peaks.items()},
            "detector": "mask_rcnn_demo" if network else f"{NUM_DETECTIONS} objects, no network",
            "frame_size": [HEIGHT, WIDTH],
            "batch": _BATCH,
        },
    )


def detect_video(video: Path, frames: int, *, network: bool) -> dict[str, int]:
    """Detects a video as `orn detect` does, in this process; what the process needed for it."""
    from shared.manifests.records import Video
    from shared.shards.plan import Unit, UnitPart
    from stage1_detect.engines.local import run_here
    from stage1_detect.engines.work import UnitWork

    detector = _demo_detector() if network else StripedDetector()
    starts = list(range(0, frames, 2000))
    stops = [*starts[1:], None]
    units = [
        Unit(index=index, parts=(UnitPart(video_id="video", start=start, stop=stop),))
        for index, (start, stop) in enumerate(zip(starts, stops, strict=True))
    ]
    before = _peak_bytes()
    work = UnitWork(
        units=units,
        detector=detector,
        videos={"video": Video(id="video", path=video)},
        folder=video.with_suffix(".shards"),
        batch=_BATCH,
    )
    results = list(run_here(work))
    assert sum(result.frames for result in results) == frames
    return {
        "before_bytes": before,
        "peak_bytes": _peak_bytes(),
        "detections": sum(result.detections for result in results),
        "shards": len(results),
    }


class StripedDetector:
    """Finds objects at once that depend on the frame, each a rectangle with stripes."""

    @property
    def entry(self) -> DetectorEntry:
        """What a shard records."""
        return DetectorEntry(
            config_name="striped",
            config_digest="sha256:0",
            checkpoint_digest="sha256:0",
            class_names=COCO_CLASSES,
        )

    def prepare(self, image_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The frame as a network's input would be held: float32, channels first, scaled."""
        return image_HWC.transpose(2, 0, 1).astype(np.float32) / np.float32(255)

    def infer(self, prepared: Sequence[Any]) -> Sequence[Any]:
        """Where the objects of each frame are."""
        return [(int(frame_CHW.mean() * 1000), frame_CHW.shape[1:]) for frame_CHW in prepared]

    def encode(self, found: tuple[int, tuple[int, int]]) -> FrameDetections:
        """The objects with their masks."""
        seed, (height, width) = found
        generator = np.random.default_rng(seed)
        corners = generator.uniform(0, 0.5, (NUM_DETECTIONS, 2)) * (width, height)
        sizes = generator.uniform(0.1, 0.5, (NUM_DETECTIONS, 2)) * (width, height)
        boxes_N4 = np.concatenate([corners, corners + sizes], axis=1).astype(np.float32)
        masks = []
        for x1, y1, x2, y2 in boxes_N4.astype(int):
            mask_hw = (np.arange(y2 - y1)[:, None] + np.arange(x2 - x1)) % 16 < 12
            masks.append(encode_crop(mask_hw, x=x1, y=y1, height=height, width=width))
        return FrameDetections(
            height=height,
            width=width,
            boxes=boxes_N4,
            scores=generator.random(NUM_DETECTIONS, dtype=np.float32),
            labels=generator.integers(0, 80, NUM_DETECTIONS).astype(np.uint8),
            class_scores=(generator.random((NUM_DETECTIONS, 80)) / 80).astype(np.float16),
            masks=tuple(masks),
        )


def _peak_in_a_process(video: Path, frames: int, *, network: bool) -> dict[str, int]:
    code = (
        "import json, sys; from pathlib import Path; from benchmarks.detect_memory import "
        "detect_video; print(json.dumps(detect_video(Path(sys.argv[1]), int(sys.argv[2]), "
        "network=sys.argv[3] == 'True')))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, str(video), str(frames), str(network)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    peak: dict[str, int] = json.loads(process.stdout)
    return peak


def _peak_bytes() -> int:
    """Most that was resident; getrusage's figure would include what the parent had at its fork."""
    path = Path("/proc/self/status")
    if path.is_file():
        (line,) = (line for line in path.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _write_video(path: Path, frames: int) -> Path:
    from benchmarks.made_videos import moving_pictures, write_video

    pictures = moving_pictures(250, height=HEIGHT, width=WIDTH)
    return write_video(path, _cycled(pictures, frames))


def _cycled(pictures: Sequence[NDArray[np.uint8]], frames: int) -> Iterator[NDArray[np.uint8]]:
    return (pictures[index % len(pictures)] for index in range(frames))


def _demo_detector() -> Any:
    from shared.manifests.load import shipped_detectors
    from stage1_detect.mmdet.detector import load_detector

    (choice,) = shipped_detectors().values()
    assert choice.config is not None
    return load_detector("cpu", config=choice.config, checkpoint=choice.checkpoint, threads=1)
