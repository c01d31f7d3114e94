"""What a detect job would do, without the detector and without writing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import ShardFormatError
from shared.shards.plan import Unit, shard_path
from shared.shards.shard import Shard
from stage1_detect.detector_choice import DetectorFiles
from stage1_detect.planning import DetectJob, units_to_do

__all__ = ["describe_job"]

_LOOKED_AT = 20
"""Shards of the folder that the size of a frame is measured in, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _FrameSize:
    """How many bytes of a shard a frame takes, and how that is known."""

    bytes: float
    source: str


_USUAL = _FrameSize(
    bytes=700.0,
    source="as on the demo's films with 6 objects a frame; other footage differs",
)
"""Measured on the short demo-long world: 504 frames with 2970 detections take 341,854 bytes."""


def describe_job(
    job: DetectJob,
    files: DetectorFiles,
    *,
    score_threshold: float,
    fresh: bool,
    again: Sequence[Unit] = (),
) -> dict[str, Any]:
    """The settings and the amount of work, as JSON has them; `fresh` counts no shard as there, nor
    are those of the units in `again`."""
    units = job.units if fresh else (*units_to_do(job), *again)
    frames = job.frames_of(units)
    size = _frame_size(job)
    asked = {part.video_id for unit in job.units for part in unit.parts}
    return {
        "dataset": job.dataset.name,
        "out": str(job.folder),
        "config": files.config,
        "checkpoint": None if files.checkpoint is None else str(files.checkpoint),
        "score_threshold": score_threshold,
        "frames": job.plan.frames,
        "unit_frames": job.plan.unit_frames,
        "videos": len(asked),
        "missing": len(job.dataset.missing),
        "unlabelled": job.unlabelled,
        "units": len(job.units),
        "shards_there": len(job.units) - len(units),
        "frames_to_do": frames,
        "unreadable_videos": sum(each.frames == 0 for each in job.estimates.values()),
        "expected_bytes": round(frames * size.bytes),
        "expected_bytes_is": f"an estimate: {size.bytes:.0f} bytes a frame, {size.source}",
    }


def _frame_size(job: DetectJob) -> _FrameSize:
    """Measured in the shards of the folder, where there are any with frames."""
    paths = [shard_path(job.folder, unit.index) for unit in job.units]
    num_bytes = num_frames = 0
    for path in [path for path in paths if path.exists()][:_LOOKED_AT]:
        try:
            num_frames += Shard(path).num_frames
        except ShardFormatError:
            continue
        num_bytes += path.stat().st_size
    if not num_frames:
        return _USUAL
    return _FrameSize(bytes=num_bytes / num_frames, source="as in the shards that are there")
