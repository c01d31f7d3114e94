"""How long a detect job will take and how much it will write: a few frames of a few videos, made
into a shard that is thrown away."""

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
"""Of each of these videos."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectCost:
    """What detecting a frame costs one process."""

    frame_seconds: float
    """Decoding it, detecting, encoding and writing."""
    frame_bytes: float
    """What it takes in a shard."""


def measure_detector(
    load: Callable[[str], Detector], videos: Sequence[Video], *, device: str, batch: int
) -> DetectCost:
    """Load the detector and let it see the first frames of some videos, as a job would.

    Args:
        load: makes the detector on the device of this name.
        videos: those of the job, at least one; what cannot be decoded counts for nothing.
        device: such as `cpu` or `cuda:0`.
        batch: most frames that the network sees at once.
    """
    detector = load(device)
    stop = _FRAMES[device.partition(":")[0]]
    videos = some_videos(videos, _VIDEOS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        by_id = {each.id: each for each in videos}
        detect = UnitDetector(detector, videos=by_id, folder=folder, batch=batch)
        # The first frame is slow, and its shard is as large as one is without frames.
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
