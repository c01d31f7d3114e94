"""Peak memory of detecting a long video against a short one."""

import resource
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import BenchResult
from benchmarks.made_inputs import moving_pictures, write_video
from shared.manifests.load import shipped_detectors
from shared.manifests.records import Video
from shared.masks.coco_classes import COCO_CLASSES
from shared.masks.detections import FrameDetections
from shared.masks.rle import encode_crop
from shared.shards.plan import Unit, UnitPart
from shared.shards.schema import DetectorEntry
from stage1_detect.engines.local import run_here
from stage1_detect.engines.work import UnitWork

_HEIGHT, _WIDTH = 120, 160
NUM_DETECTIONS = 20
_BATCH = 8
_UNIT_FRAMES = 2000


def measure(*, short: int, long: int, network: bool) -> BenchResult:
    """Peak resident bytes of detecting videos of so many frames, each in a process of its own, with
    the demo's Mask R-CNN if `network`."""
    peaks = in_own_processes(partial(_detect_video, network=network), (short, long))
    ours, reference = peaks[long]["peak_bytes"], peaks[short]["peak_bytes"]
    return BenchResult(
        name="detect-memory",
        ours=ours,
        reference=reference,
        unit="bytes",
        details={
            "growth": ours / reference - 1,
            "short_frames": short,
            "long_frames": long,
            "short_bytes_above_start": reference - peaks[short]["before_bytes"],
            "long_bytes_above_start": ours - peaks[long]["before_bytes"],
            "detections": {frames: peak["detections"] for frames, peak in peaks.items()},
            "shards": {frames: peak["shards"] for frames, peak in peaks.items()},
            "detector": "mask_rcnn_demo" if network else f"{NUM_DETECTIONS} objects, no network",
            "frame_size": [_HEIGHT, _WIDTH],
            "batch": _BATCH,
        },
    )


def in_own_processes(
    look: Callable[[Path, int], dict[str, int]], lengths: Sequence[int]
) -> dict[int, dict[str, int]]:
    """What a function says of made videos of so many frames, each in a process of its own."""
    said = {}
    with tempfile.TemporaryDirectory() as name:
        for frames in lengths:
            pictures = moving_pictures(250, height=_HEIGHT, width=_WIDTH)
            video = write_video(Path(name) / f"{frames}.mp4", islice(cycle(pictures), frames))
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                said[frames] = process.submit(look, video, frames).result()
    return said


def _detect_video(video: Path, frames: int, network: bool) -> dict[str, int]:
    """Detects a video as `orn detect` does; what this process needed for it."""
    detector = _demo_detector() if network else StripedDetector()
    units = []
    for index, start in enumerate(range(0, frames, _UNIT_FRAMES)):
        stop = start + _UNIT_FRAMES if start + _UNIT_FRAMES < frames else None
        part = UnitPart(video_id="video", start=start, stop=stop)
        units.append(Unit(index=index, parts=(part,)))
    before = peak_bytes()
    results = list(
        run_here(
            UnitWork(
                units=units,
                detector=detector,
                videos={"video": Video(id="video", path=video)},
                folder=video.with_suffix(".shards"),
                batch=_BATCH,
            )
        )
    )
    assert sum(result.frames for result in results) == frames
    return {
        "before_bytes": before,
        "peak_bytes": peak_bytes(),
        "detections": sum(result.detections for result in results),
        "shards": len(results),
    }


def _demo_detector() -> Any:
    from stage1_detect.mmdet.detector import load_detector  # torch would hide the growth

    (choice,) = shipped_detectors().values()
    assert choice.config is not None
    return load_detector("cpu", config=choice.config, checkpoint=choice.checkpoint, threads=1)


def peak_bytes() -> int:
    """Most that was resident; getrusage's figure would include what the parent had at its fork."""
    path = Path("/proc/self/status")
    if path.is_file():
        (line,) = (line for line in path.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class StripedDetector:
    """Finds objects at once that depend on the frame, each a rectangle with stripes."""

    entry = DetectorEntry(
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
