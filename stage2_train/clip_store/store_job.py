"""The job that stores missing videos in a clip store.

Files of a store are complete and never change. New, changed and retried videos go to new files, and
a video in several files is read from the newest one. Killing a job only loses unfinished files,
which the next run writes as planned.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import cv2

from orn.data_manifests.records import Video
from orn.shared.errors import ConfigError, VideoDecodeError
from orn.shared.jobs.engines import IN_THIS_PROCESS
from orn.shared.jobs.outputs import check_same_job, start_over
from orn.shared.jobs.plan import FailedVideo, Plan, Unit, UnitPart, packed
from orn.shared.jobs.run_units import Advance, Engine, UnitResult, run_units
from orn.shared.jobs.workers import in_threads
from orn.shared.time_ranges import ALL_TIMES, TimeRanges
from orn.shared.video.read import is_same_content
from orn.stage2_train.clip_store.clip_store import ClipStore, read_clip_files
from orn.stage2_train.clip_store.frame_maps import FrameMapper, FrozenNetwork
from orn.stage2_train.clip_store.store_format import (
    CLIP_FILES,
    RECORDED_SETTINGS,
    FailedClip,
    StoredVideo,
    StoreSettings,
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
        return UnitResult(
            unit=unit.index,
            steps=len(videos),
            videos=tuple(part.video_id for part in unit.parts),
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
        if failed is None or failed.source != stamp or retry_failed:
            if stored is not None and _is_same(video, stamp, stored):
                added = times.union(stored.times)
                if stored.clips:  # ranges of segments are not joined
                    added = TimeRanges(tuple(dict.fromkeys((*stored.times.ranges, *times.ranges))))
                if added == stored.times:
                    continue
                times = added
            parts.append(UnitPart(video_id=video.id, ranges=times.ranges))
    return tuple(parts)


def _is_same(video: Video, stamp: tuple[int, int], stored: StoredVideo) -> bool:
    """Return whether a video and its frame rate in the manifest have not changed since it was
    stored. If only its modification time differs, as for a copy, contents are compared; a missing
    file counts as unchanged."""
    if stored.rate != video.rate:
        return False
    if stamp in ((-1, -1), stored.source):
        return True
    try:
        return is_same_content(video.path, num_bytes=stored.source[0], digest=stored.source_digest)
    except VideoDecodeError:
        return False


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


def _planned(path: Path, parts: set[UnitPart]) -> tuple[tuple[Unit, ...], tuple[Unit, ...]]:
    """Return the units of the plan in a folder that have a file, and those without one whose parts
    are all to be stored."""
    try:
        saved = Plan.load(path, CLIP_FILES.plan)
    except ConfigError as err:  # only the units without a file are lost
        logger.warning("the plan is written again: %s", err)
        saved = None
    units = () if saved is None else saved.units
    missing = set(CLIP_FILES.missing(units, path))
    done = tuple(unit for unit in units if unit not in missing)
    return done, tuple(unit for unit in units if unit in missing and parts.issuperset(unit.parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsReport:
    """Result of the job for the requested videos."""

    num_added: int
    """Number of videos stored by this job."""
    num_present: int
    """Number of videos stored before."""
    failed: tuple[FailedClip, ...]
    """Videos that could not be decoded, now or before."""
    num_frames: int
    """Number of stored frames of all requested videos."""


def build_clip_store(
    videos: Sequence[Video],
    path: Path,
    settings: StoreSettings,
    *,
    ranges: Mapping[str, TimeRanges] = MappingProxyType({}),
    engine: Engine = IN_THIS_PROCESS,
    processes: int = 0,
    fresh: bool = False,
    retry_failed: bool = False,
    network: FrozenNetwork | None = None,
    sizes: Callable[[Sequence[UnitPart]], Mapping[str, float]] = lambda parts: {},
) -> ClipsReport:
    """Add missing videos to a store; see `missing_parts`.

    Args:
        videos: requested videos.
        path: folder of the store.
        settings: settings of all frames.
        ranges: requested times by video id; without an entry, the whole video.
        engine: engine that decodes videos.
        processes: number of processes to keep busy; see `units_of`.
        fresh: whether to remove existing files first.
        retry_failed: whether to retry videos that failed.
        network: network that computes the maps, with `settings.maps`.
        sizes: returns the approximate size in bytes of missing videos by id; called after the
            folder is locked and before anything is written.

    Raises:
        ConfigError: if the existing store has different settings.
        PipelineError: if a file cannot be written, a process is lost, or another process is writing
            to this store.
    """
    with CLIP_FILES.locked(path):
        store = None if fresh else open_store(path, settings)
        parts = missing_parts(store, videos, ranges, retry_failed=retry_failed)
        done, left = ((), ()) if fresh else _planned(path, set(parts))
        planned = {part for unit in left for part in unit.parts}
        rest = [part for part in parts if part not in planned]
        after = [unit.index + 1 for unit in left]
        first = 0 if fresh else max([CLIP_FILES.next_index(path), *after])
        units = (*left, *units_of(rest, sizes(rest), first=first, processes=processes))
        new = {part.video_id for part in parts}
        work = ClipsWork(
            videos={v.id: replace(v, path=v.path.absolute()) for v in videos if v.id in new},
            folder=path.absolute(),
            settings=settings,
            network=network,
        )
        run_units(
            CLIP_FILES,
            Plan(dataset=path.name, frames="stored", units=(*done, *units)),
            work,
            engine,
            folder=path,
            task="clips",
            steps="videos",
            units=units,
            fresh=fresh,
        )
        store, ids = ClipStore(path), [video.id for video in videos]
    failed = {name: store.tried[name] for name in ids if name in store.tried}
    there = [name for name in ids if name in store]
    return ClipsReport(
        num_added=len(new - failed.keys()),
        num_present=len(set(there) - new - failed.keys()),
        failed=tuple(failed.values()),
        num_frames=sum(len(store.frames(name)) for name in there),
    )
