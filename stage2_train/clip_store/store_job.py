"""The job that stores missing videos in a clip store.

Files of a store are complete and never change. New, changed and retried videos go to new files, and
a video in several files is read from the newest one. Killing a job only loses unfinished files,
which the next run writes as planned.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2

from orn.data_manifests.headers import read_headers
from orn.data_manifests.records import Video
from orn.shared.data_files import Stamp
from orn.shared.errors import ConfigError
from orn.shared.estimates import BYTES
from orn.shared.jobs.outputs import check_same_job, start_over
from orn.shared.jobs.plan import FailedVideo, Plan, Unit, UnitPart, packed
from orn.shared.jobs.run_units import (
    IN_THIS_PROCESS,
    Advance,
    Engine,
    Job,
    UnitResult,
    run_units,
    save_summary,
)
from orn.shared.jobs.workers import in_threads
from orn.shared.time_ranges import ALL_TIMES, TimeRanges
from orn.shared.video.read import FrameEstimate, has_changed
from orn.stage2_train.clip_store.clip_store import ClipStore, read_clip_files
from orn.stage2_train.clip_store.frame_maps import FrameMapper, FrozenNetwork
from orn.stage2_train.clip_store.store_format import (
    CLIP_FILES,
    RECORDED_SETTINGS,
    StoredVideo,
    StoreSettings,
    map_bytes,
)
from orn.stage2_train.clip_store.unit_file import source_stamp, write_unit_file

logger = logging.getLogger(__name__)

UNIT_BYTES = 256 * 10**6
"""Approximate size of a file."""
_MIN_UNIT_BYTES = 4 * 10**6
"""Minimum size of a file; small data sets are split into enough files to keep processes busy."""
_UNITS_PER_PROCESS = 4
_LEAST_VIDEO_BYTES = UNIT_BYTES // 4096
"""Assumed minimum size of a video, which limits the number of videos in a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsWork:
    """Work that stores units of videos; see `orn.shared.jobs.run_units.Work`."""

    videos: Mapping[str, Video]
    folder: Path
    settings: StoreSettings
    network: FrozenNetwork | None = None
    """Network that computes the maps; None without maps."""
    mapper: FrameMapper | None = None
    """The network in this process, once the work is opened."""

    def path(self, unit: Unit) -> Path:
        """Return the file of a unit."""
        return CLIP_FILES.path(self.folder, unit.index)

    def open(self, device: str) -> "ClipsWork":
        """Load the network that computes the maps, if any.

        Raises:
            CheckpointError: if its weights are missing, or differ from those of the store.
        """
        if self.settings.motion is not None:
            cv2.setNumThreads(1)  # other processes use the other cores
        if self.network is None:
            return self
        return replace(self, mapper=self.network.open(device, expected=self.settings.maps))

    def __call__(self, unit: Unit, advance: Advance) -> UnitResult:
        """Write the file of a unit."""
        videos = [(self.videos[part.video_id], TimeRanges(part.ranges)) for part in unit.parts]
        path = self.path(unit)
        failed = write_unit_file(path, videos, self.settings, advance, mapper=self.mapper)
        lost = {row.id for row in failed}
        return UnitResult(
            unit=unit.index,
            steps=len(videos),
            videos=tuple(video.id for video, _ in videos if video.id not in lost),
            failed=tuple(FailedVideo(id=row.id, reason=row.reason) for row in failed),
        )


def open_store(path: Path, settings: StoreSettings) -> ClipStore | None:
    """Return the store in a folder, or None.

    Raises:
        ClipStoreError: if the store is corrupt.
        ConfigError: if it has different settings.
    """
    files = read_clip_files(path)
    if not files:
        return None
    store = ClipStore(path, files)
    recorded, requested = (
        {**RECORDED_SETTINGS.dump_python(own, mode="json"), "size": own.describe_size()}
        for own in (store.settings, settings)
    )
    remedy = f"use the recorded settings, {start_over(len(store.ids))}"
    check_same_job(recorded, requested, place=path, remedy=remedy)
    return store


def missing_parts(
    store: ClipStore | None,
    videos: Sequence[Video],
    ranges: Mapping[str, TimeRanges] = MappingProxyType({}),
    *,
    retry_failed: bool = False,
) -> tuple[UnitPart, ...]:
    """Return the videos that are missing from a store, completely or partly, or have changed, with
    the times to store. A video that failed is omitted until it changes.

    Args:
        store: the store; None if it does not exist yet.
        videos: requested videos.
        ranges: requested times by video id, with `clip_frames` those of each segment; without an
            entry, the whole video.
        retry_failed: whether to include videos that failed.
    """
    parts = []
    for video, stamp in zip(videos, in_threads(source_stamp, videos), strict=True):
        times = ranges.get(video.id, ALL_TIMES)
        failed = None if store is None else store.tried.get(video.id)
        stored = store.frames(video.id).video if store is not None and video.id in store else None
        if failed is not None and failed.source == stamp and not retry_failed:
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


def units_of(
    parts: Sequence[UnitPart],
    sizes: Mapping[str, float] = MappingProxyType({}),
    *,
    first: int,
    processes: int = 0,
) -> tuple[Unit, ...]:
    """Group videos into units, in order.

    Args:
        parts: whole videos, or time ranges of videos.
        sizes: approximate size in bytes by video id; without an entry, 1 MB.
        first: index of the first unit.
        processes: number of processes to keep busy; 0 for units of the maximum size.
    """
    bytes_of = [max(sizes.get(part.video_id, 10**6), _LEAST_VIDEO_BYTES) for part in parts]
    most: float = UNIT_BYTES
    if processes:
        share = sum(bytes_of) / (_UNITS_PER_PROCESS * processes)
        most = min(max(share, _MIN_UNIT_BYTES), UNIT_BYTES)
    return packed(zip(parts, bytes_of, strict=True), most, first=first)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStore:
    """A planned job, and its approximate size."""

    job: Job
    """All units of the store that exist or are needed; their sizes are in bytes."""
    frames: Mapping[str, int]
    """Number of frames to store of each missing video."""
    num_decoded: int
    """Number of frames to decode."""


def plan_store(
    videos: Sequence[Video],
    path: Path,
    settings: StoreSettings,
    *,
    ranges: Mapping[str, TimeRanges] = MappingProxyType({}),
    processes: int = 0,
    fresh: bool = False,
    retry_failed: bool = False,
    lengths: Callable[[Sequence[Video]], Mapping[str, FrameEstimate]] = read_headers,
) -> PlannedStore:
    """Plan the job that adds missing videos to a store; see `missing_parts`.

    Args:
        videos: requested videos.
        path: folder of the store.
        settings: settings of all frames.
        ranges: requested times by video id; without an entry, the whole video.
        processes: number of processes to keep busy; see `units_of`.
        fresh: whether to remove existing files first.
        retry_failed: whether to retry videos that failed.
        lengths: returns the approximate lengths of the missing videos.

    Raises:
        ConfigError: if the existing store has different settings.
    """
    store = None if fresh else open_store(path, settings)
    parts = missing_parts(store, videos, ranges, retry_failed=retry_failed)
    due = {part.video_id for part in parts}
    estimates = lengths([video for video in videos if video.id in due])
    frames = _numbers(parts, estimates, settings)
    saved = () if fresh else _saved_units(path)
    missing = {*CLIP_FILES.missing(saved, path)}
    left = [unit for unit in saved if unit in missing and {*parts}.issuperset(unit.parts)]
    planned = {part for unit in left for part in unit.parts}
    units = units_of(
        [part for part in parts if part not in planned],
        {name: number * frame_bytes(settings) for name, number in frames.items()},
        first=0 if fresh else max([CLIP_FILES.next_index(path), *(u.index + 1 for u in left)]),
        processes=processes,
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
    num_decoded = sum(length.frames for length in estimates.values())
    return PlannedStore(job=job, frames=frames, num_decoded=num_decoded)


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


def frame_bytes(settings: StoreSettings) -> float:
    """Return the approximate size of a stored frame and its maps."""
    return math.prod(settings.size) * BYTES["clips"] + sum(
        map_bytes(shape) for shape in settings.shapes.values()
    )


def build_clip_store(
    videos: Sequence[Video],
    path: Path,
    settings: StoreSettings,
    *,
    engine: Engine = IN_THIS_PROCESS,
    network: FrozenNetwork | None = None,
    summary: Mapping[str, Any] = MappingProxyType({}),
    **planning: Any,
) -> dict[str, Any]:
    """Add missing videos to a store.

    Args:
        videos: requested videos.
        path: folder of the store.
        settings: settings of all frames.
        engine: engine that decodes videos.
        network: network that computes the maps, with `settings.maps`.
        summary: more fields of the summary.
        planning: other arguments of `plan_store`.

    Returns:
        The fields of `save_summary`, the number of requested videos that were `present` before, and
        of `frames` of all requested videos; `bytes`, the size of the store.

    Raises:
        ConfigError: if the existing store has different settings.
        PipelineError: if a file cannot be written, a process is lost, or another process is writing
            to this store.
    """
    with CLIP_FILES.locked(path):
        planned = plan_store(videos, path, settings, **planning)
        work = ClipsWork(
            videos={
                video.id: replace(video, path=video.path.absolute())
                for video in videos
                if video.id in planned.frames
            },
            folder=path.absolute(),
            settings=settings,
            network=network,
        )
        result = run_units(planned.job, work, engine, task="clips", steps="videos")
        store = ClipStore(path)
    failed = [store.tried[video.id] for video in videos if video.id in store.tried]
    there = {video.id for video in videos if video.id in store}
    return save_summary(
        planned.job,
        result,
        failed=[FailedVideo(id=row.id, reason=row.reason) for row in failed],
        present=len(there - planned.frames.keys() - store.tried.keys()),
        frames=sum(len(store.frames(name)) for name in there),
        bytes=sum(file.stat().st_size for file in path.glob(CLIP_FILES.pattern)),
        **summary,
    )
