"""Jobs that write shards, by detection or import: units to retry, and the summary."""

import logging
from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from orn.data_manifests.records import Video
from orn.shared.jobs.plan import FailedVideo, Plan, Unit
from orn.shared.jobs.run_units import Job, JobResult, save_summary
from orn.shared.jobs.workers import in_threads
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_folder import open_folder
from orn.shared.shards.shard_format import SHARD_FILES, VideoEntry, shard_path
from orn.shared.text import counted, first_few
from orn.shared.video.read import has_changed, was_modified

logger = logging.getLogger(__name__)


def plan_shards(
    plan: Plan,
    folder: Path,
    videos: Mapping[str, Video],
    *,
    requested: Container[str],
    has_other_objects: Callable[[str, int], bool] = lambda video_id, since_ns: False,
    fresh: bool = False,
    retry_failed: bool = False,
) -> Job:
    """Return the job of a plan's units that contain a requested video.

    Finished units with a changed video are retried, and those with a failed one if requested. Their
    other videos are kept (`Job.kept`).

    Args:
        plan: all units of the folder.
        folder: output folder of the shards.
        videos: existing videos by id.
        requested: ids of the requested videos.
        has_other_objects: returns whether the objects of a video in the source of an import have
            changed since a time in nanoseconds.
        fresh: whether to remove all shards first.
        retry_failed: whether to retry failed videos.
    """
    units = tuple(u for u in plan.units if any(part.video_id in requested for part in u.parts))
    finished = set() if fresh else {*units} - {*SHARD_FILES.missing(units, folder)}
    outdated = _changed_videos(folder, finished, videos, has_other_objects)
    if ids := sorted({video_id for own in outdated.values() for video_id in own}):
        logger.warning(
            "%s: %s since the shards were written (%s); only these are processed again",
            folder,
            counted(len(ids), "video has changed", "videos have changed"),
            first_few(ids),
        )
    kept: dict[int, frozenset[str]] = {}
    for unit in finished:
        changed = outdated.get(unit.index)
        shard = Shard(shard_path(folder, unit.index)) if changed or retry_failed else None
        if shard is not None and (changed or shard.failed):
            kept[unit.index] = frozenset(video.id for video in shard.videos) - {*(changed or ())}
    units = tuple(_without(unit, kept.get(unit.index, frozenset())) for unit in units)
    return Job(
        files=SHARD_FILES,
        folder=folder,
        plan=plan,
        units=units,
        retried=tuple(unit for unit in units if unit.index in kept),
        kept=kept,
        fresh=fresh,
    )


def _without(unit: Unit, kept: frozenset[str]) -> Unit:
    """Return a unit with the approximate number of frames of the videos that are not kept."""
    left = sum(part.video_id not in kept for part in unit.parts) / len(unit.parts)
    return replace(unit, frames=unit.frames * left)


def _changed_videos(
    folder: Path,
    units: Collection[Unit],
    videos: Mapping[str, Video],
    has_other_objects: Callable[[str, int], bool],
) -> dict[int, list[str]]:
    """Return the videos of finished units that changed since their shard was written, by unit; of a
    failed one, whose content is not recorded, the file was modified."""
    entries = open_folder(folder).entries if units else {}
    recorded = [
        (unit.index, video, entries[path].mtime_ns)
        for unit in units
        if (path := shard_path(folder, unit.index)) in entries  # not removed by another command
        for video in entries[path].record.tried
    ]

    def is_outdated(task: tuple[int, VideoEntry | FailedVideo, int]) -> bool:
        _, video, since_ns = task
        if has_other_objects(video.id, since_ns):
            return True
        if video.id not in videos:
            return False
        path = videos[video.id].path
        if isinstance(video, FailedVideo):
            return was_modified(path, since_ns=since_ns)
        return has_changed(
            path, num_bytes=video.source_bytes, digest=video.source_digest, since_ns=since_ns
        )

    outdated: dict[int, list[str]] = {}
    for (index, video, _), flag in zip(recorded, in_threads(is_outdated, recorded), strict=True):
        if flag:
            outdated.setdefault(index, []).append(video.id)
    return outdated


def summarize_shards(job: Job, result: JobResult, **own: Any) -> dict[str, Any]:
    """Save and return the summary of a finished job: see `save_summary`; also `frames`,
    `detections`, `empty_frames` and `frames_per_second` of this run, `total_frames` and
    `total_detections`, and dropped objects (`left_out`) of all shards."""
    shards = {unit: Shard(shard_path(job.folder, unit.index)) for unit in job.units}
    written = [shards[unit] for unit in result.units]
    frames = sum(shard.num_frames for shard in written)
    failed = {video.id: video for shard in shards.values() for video in shard.failed}
    return save_summary(
        job,
        result,
        failed=failed.values(),
        frames=frames,
        detections=sum(shard.num_detections for shard in written),
        empty_frames=sum(
            int((np.diff(shard.array("frame_offsets")) == 0).sum()) for shard in written
        ),
        total_frames=sum(shard.num_frames for shard in shards.values()),
        total_detections=sum(shard.num_detections for shard in shards.values()),
        frames_per_second=round(frames / result.seconds, 2) if frames else None,
        left_out=[asdict(objects) for shard in shards.values() for objects in shard.left_out],
        **own,
    )
