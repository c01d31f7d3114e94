"""What `orn clips` adds to a store: videos that are missing or have changed, in units of about the
same size."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orn.data_manifests.find_videos import read_headers, warn_of_times_beyond
from orn.data_manifests.records import Segment, Video
from orn.shared.data_files import Stamp
from orn.shared.errors import ConfigError
from orn.shared.estimates import BYTES
from orn.shared.jobs.outputs import check_same_job, start_over
from orn.shared.jobs.pack_videos import packed
from orn.shared.jobs.plan import Plan, Unit, UnitPart
from orn.shared.jobs.run_units import (
    Job,
)
from orn.shared.jobs.workers import in_threads
from orn.shared.time_ranges import ALL_TIMES, TimeRanges
from orn.shared.video.read import FrameEstimate, has_changed
from orn.stage2_train.clip_store.clip_store import ClipStore, is_clip_store
from orn.stage2_train.clip_store.store_format import (
    CLIP_FILES,
    RECORDED_SETTINGS,
    StoredVideo,
    StoreSettings,
    map_bytes,
)
from orn.stage2_train.clip_store.unit_file import source_stamp

logger = logging.getLogger(__name__)

UNIT_BYTES = 256 * 10**6
"""Approximate size of a file."""
_MIN_UNIT_BYTES = 4 * 10**6
"""Minimum size of a file; small data sets are split into enough files to keep processes busy."""
_UNITS_PER_PROCESS = 4
_LEAST_VIDEO_BYTES = UNIT_BYTES // 4096
"""Assumed minimum size of a video, which limits the number of videos in a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRequest:
    """What a store shall contain."""

    path: Path
    """Folder of the store."""
    settings: StoreSettings
    """Settings of all frames."""
    videos: Sequence[Video]
    ranges: Mapping[str, TimeRanges] = field(default_factory=dict)
    """Times to store by video id, with `clip_frames` those of each segment; without an entry, the
    whole video."""
    segments: Sequence[Segment] = ()
    """The segments with these times."""
    weights: Path | None = None
    """File with the weights of the network that computes the maps; None for the published ones."""
    processes: int = 1
    """Number of processes to keep busy."""
    fresh: bool = False
    """Whether to remove existing files first."""
    retry_failed: bool = False
    """Whether to retry videos that failed."""
    counts: Mapping[str, Any] = field(default_factory=dict)
    """More fields of summaries: the data set, and the numbers of videos that are not requested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStore:
    """A planned job, and its approximate size."""

    job: Job
    """All units of the store that exist or are needed; their sizes are in bytes."""
    frames: Mapping[str, int]
    """Number of frames to store of each missing video."""
    num_decoded: int
    """Number of frames to decode."""
    pixels: int
    """Number of pixels of these frames."""


def plan_store(request: StoreRequest) -> PlannedStore:
    """Plan the job that adds missing videos to a store.

    Raises:
        ConfigError: if the existing store has different settings.
    """
    path, settings, fresh = request.path, request.settings, request.fresh
    store = None if fresh else _open_store(path, settings)
    parts = _missing_parts(store, request)
    due = {part.video_id for part in parts}
    estimates = read_headers([video for video in request.videos if video.id in due])
    warn_of_times_beyond(request.segments, estimates)
    frames = _numbers(parts, estimates, settings)
    saved = () if fresh else _saved_units(path)
    missing = {*CLIP_FILES.missing(saved, path)}
    left = [unit for unit in saved if unit in missing and {*parts}.issuperset(unit.parts)]
    planned = {part for unit in left for part in unit.parts}
    units = units_of(
        [part for part in parts if part not in planned],
        {name: number * frame_bytes(settings) for name, number in frames.items()},
        first=0 if fresh else max([CLIP_FILES.next_index(path), *(u.index + 1 for u in left)]),
        processes=request.processes,
    )
    units = (*(unit for unit in saved if unit not in missing), *left, *units)
    job = Job(
        files=CLIP_FILES,
        folder=path,
        plan=Plan(dataset=path.name, frames="stored", units=units),
        units=units,
        fresh=fresh,
        unreadable={name: length.problem for name, length in estimates.items() if length.problem},
    )
    lengths = estimates.values()
    return PlannedStore(
        job=job,
        frames=frames,
        num_decoded=sum(length.frames for length in lengths),
        pixels=sum(length.frames * length.pixels for length in lengths),
    )


def _open_store(path: Path, settings: StoreSettings) -> ClipStore | None:
    """Return the store in a folder, or None.

    Raises:
        ClipStoreError: if the store is corrupt.
        ConfigError: if it has different settings.
    """
    if not is_clip_store(path):
        return None
    store = ClipStore(path)
    recorded, requested = (
        {**RECORDED_SETTINGS.dump_python(own, mode="json"), "size": own.describe_size()}
        for own in (store.settings, settings)
    )
    remedy = f"use the recorded settings, {start_over(len(store.ids))}"
    check_same_job(recorded, requested, where=path, remedy=remedy)
    return store


def _missing_parts(store: ClipStore | None, request: StoreRequest) -> tuple[UnitPart, ...]:
    """Return the videos that are missing from a store, completely or partly, or have changed, with
    the times to store. A video that failed is omitted until it changes or is retried."""
    parts, videos = [], request.videos
    for video, stamp in zip(videos, in_threads(source_stamp, videos), strict=True):
        times = request.ranges.get(video.id, ALL_TIMES)
        failed = None if store is None else store.tried.get(video.id)
        stored = store.frames(video.id).video if store is not None and video.id in store else None
        if failed is not None and failed.source == stamp and not request.retry_failed:
            continue
        if stored is not None and not _has_changed(video, stamp, stored):
            added = times.union(stored.times)
            if stored.clips:  # ranges of segments are not joined
                added = TimeRanges(tuple(dict.fromkeys((*stored.times.ranges, *times.ranges))))
            if added == stored.times:
                continue
            times = added
        parts.append(UnitPart(video_id=video.id, ranges=times.ranges))
    return tuple(parts)


def _has_changed(video: Video, stamp: Stamp, stored: StoredVideo) -> bool:
    """Return whether a video or its frame rate in the manifest has changed since it was stored."""
    return stored.rate != video.rate or (
        stamp != stored.source
        and has_changed(video.path, num_bytes=stored.source[0], digest=stored.source_digest)
    )


def _saved_units(path: Path) -> tuple[Unit, ...]:
    """Return the units of the plan in a folder; none if it is invalid."""
    try:
        saved = Plan.load(path, CLIP_FILES.plan)
    except ConfigError as err:  # only the units without a file are lost
        logger.warning("the plan is written again: %s", err)
        saved = None
    return () if saved is None else saved.units


def _numbers(
    parts: Sequence[UnitPart], lengths: Mapping[str, FrameEstimate], settings: StoreSettings
) -> dict[str, int]:
    """Return the approximate number of frames to store of each missing video."""
    numbers = {}
    for part in parts:
        kept = lengths[part.video_id].at_rate(settings.rate)
        of_ranges = [TimeRanges((times,)).length(kept.seconds) * kept.rate for times in part.ranges]
        if settings.clip_frames is not None:
            of_ranges = [min(frames, settings.clip_frames) for frames in of_ranges]
        # times may be wrong, and folders may lack most frames
        numbers[part.video_id] = round(min(sum(of_ranges), kept.frames))
    return numbers


def units_of(
    parts: Sequence[UnitPart], sizes: Mapping[str, float], *, first: int, processes: int
) -> tuple[Unit, ...]:
    """Group videos into units, in order.

    Args:
        parts: whole videos, or time ranges of videos.
        sizes: approximate size in bytes by video id.
        first: index of the first unit.
        processes: number of processes to keep busy.
    """
    bytes_of = [max(sizes[part.video_id], _LEAST_VIDEO_BYTES) for part in parts]
    share = sum(bytes_of) / (_UNITS_PER_PROCESS * processes)
    most = min(max(share, _MIN_UNIT_BYTES), UNIT_BYTES)
    return packed(zip(parts, bytes_of, strict=True), most, first=first)


def frame_bytes(settings: StoreSettings) -> float:
    """Return the approximate size of a stored frame and its maps."""
    return math.prod(settings.size) * BYTES["clips"] + sum(
        map_bytes(shape) for shape in settings.shapes.values()
    )
