"""Estimate the duration and output size of a detect job from a few frames."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orn.shared.jobs.plan import Unit, UnitPart
from orn.shared.manifests.records import Video
from orn.shared.manifests.source import some_videos
from orn.shared.shards.files import shard_path
from orn.stage1_detect.pipeline import Detector, UnitDetector

_VIDEOS = 3
_FRAMES = {"cpu": 4, "cuda": 64}
"""Number of frames to process in each video, by type of device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectCost:
    """The cost of a frame in one process."""

    frame_seconds: float
    """Time to decode, detect, encode and write a frame."""
    frame_bytes: float
    """Size of a frame in a shard."""


def measure_detector(
    load: Callable[[str], Detector], videos: Sequence[Video], *, device: str, batch: int
) -> DetectCost:
    """Measure a detector on the first frames of some videos.

    Args:
        load: returns the detector on the named device.
        videos: videos of the job, at least one; videos that cannot be decoded are ignored.
        device: such as `cpu` or `cuda:0`.
        batch: maximum number of frames per forward pass.
    """
    detector = load(device)
    stop = _FRAMES[device.partition(":")[0]]
    videos = some_videos(videos, _VIDEOS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        by_id = {each.id: each for each in videos}
        detect = UnitDetector(detector, videos=by_id, folder=folder, batch=batch)
        # Warm up on one frame; its shard also gives the size of a nearly empty one.
        first = detect(Unit(index=0, parts=(UnitPart(video_id=videos[0].id, stop=1),)))
        began = time.perf_counter()
        parts = tuple(UnitPart(video_id=each, stop=stop) for each in by_id)
        found = detect(Unit(index=1, parts=parts))
        seconds = time.perf_counter() - began
        empty, full = (shard_path(folder, unit).stat().st_size for unit in (0, 1))
    return DetectCost(
        frame_seconds=seconds / max(found.steps, 1),
        frame_bytes=max(full - empty, 0) / max(found.steps - first.steps, 1),
    )
