"""Peak memory of detecting a long video against a short one."""

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

from orn.benchmarks.harness import BenchResult, peak_bytes
from orn.benchmarks.made_inputs import moving_pictures, write_video
from orn.shared.jobs.plan import Unit, UnitPart
from orn.shared.manifests.load import shipped_detectors
from orn.shared.manifests.records import Video
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rle import encode_crop
from orn.shared.shards.files import shard_path
from orn.shared.shards.schema import DetectorEntry
from orn.shared.shards.shard import Shard
from orn.stage1_detect.pipeline import UnitDetector

_HEIGHT, _WIDTH = 120, 160
_NUM_DETECTIONS = 20
WITHOUT_NETWORK = f"{_NUM_DETECTIONS} objects, no network"
"""What `StripedDetector` is, for the record."""
_BATCH = 8
_UNIT_FRAMES = 2000


def measure(*, short: int, long: int, network: bool) -> BenchResult:
    """Peak resident bytes of detecting videos of so many frames, each in a process of its own, with
    the demo's Mask R-CNN if `network`."""
    return long_against_short(
        "detect-memory",
        partial(_detect_video, network=network),
        short=short,
        long=long,
        detector="mask_rcnn_demo" if network else WITHOUT_NETWORK,
        frame_size=[_HEIGHT, _WIDTH],
        batch=_BATCH,
    )


def long_against_short(
    name: str,
    look: Callable[[Path, int], tuple[int, dict[str, int]]],
    *,
    short: int,
    long: int,
    **details: Any,
) -> BenchResult:
    """Peak resident bytes of looking at made videos of so many frames, each in a process of its
    own.

    Args:
        name: of the benchmark.
        look: is given a video and its frames; says `peak_bytes` when all was loaded, and what it
            counted, by name.
        short: frames of the one video.
        long: frames of the other one.
        details: of what looks, for the record.
    """
    before, peaks, counted = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for frames in (short, long):
            pictures = moving_pictures(250, height=_HEIGHT, width=_WIDTH)
            video = write_video(Path(folder) / f"{frames}.mp4", islice(cycle(pictures), frames))
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                before[frames], counted[frames] = process.submit(look, video, frames).result()
                peaks[frames] = process.submit(peak_bytes).result()
    return BenchResult(
        name=name,
        ours=peaks[long],
        reference=peaks[short],
        unit="bytes",
        details={
            "growth": peaks[long] / peaks[short] - 1,
            "short_frames": short,
            "long_frames": long,
            "short_bytes_above_start": peaks[short] - before[short],
            "long_bytes_above_start": peaks[long] - before[long],
            **{
                what: {frames: counts[what] for frames, counts in counted.items()}
                for what in counted[long]
            },
            **details,
        },
    )


def _detect_video(video: Path, frames: int, network: bool) -> tuple[int, dict[str, int]]:
    """Detects a video as `orn detect` does."""
    detector = _demo_detector() if network else StripedDetector()
    units = []
    for index, start in enumerate(range(0, frames, _UNIT_FRAMES)):
        stop = start + _UNIT_FRAMES if start + _UNIT_FRAMES < frames else None
        part = UnitPart(video_id="video", start=start, stop=stop)
        units.append(Unit(index=index, parts=(part,)))
    before = peak_bytes()
    folder, videos = video.with_suffix(".shards"), {"video": Video(id="video", path=video)}
    detect = UnitDetector(detector, videos=videos, folder=folder, batch=_BATCH)
    assert sum(detect(unit).steps for unit in units) == frames
    detections = sum(Shard(shard_path(folder, unit.index)).num_detections for unit in units)
    return before, {"detections": detections, "shards": len(units)}


def _demo_detector() -> Any:
    from orn.stage1_detect.mmdet.detector import load_detector  # torch would hide the growth

    (choice,) = shipped_detectors().values()
    assert choice.config is not None
    return load_detector("cpu", config=choice.config, checkpoint=choice.checkpoint, threads=1)


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
        corners = generator.uniform(0, 0.5, (_NUM_DETECTIONS, 2)) * (width, height)
        sizes = generator.uniform(0.1, 0.5, (_NUM_DETECTIONS, 2)) * (width, height)
        boxes_N4 = np.concatenate([corners, corners + sizes], axis=1).astype(np.float32)
        masks = []
        for x1, y1, x2, y2 in boxes_N4.astype(int):
            mask_hw = (np.arange(y2 - y1)[:, None] + np.arange(x2 - x1)) % 16 < 12
            masks.append(encode_crop(mask_hw, x=x1, y=y1, height=height, width=width))
        return FrameDetections(
            height=height,
            width=width,
            boxes=boxes_N4,
            scores=generator.random(_NUM_DETECTIONS, dtype=np.float32),
            labels=generator.integers(0, 80, _NUM_DETECTIONS).astype(np.uint8),
            class_scores=(generator.random((_NUM_DETECTIONS, 80)) / 80).astype(np.float16),
            masks=tuple(masks),
        )
