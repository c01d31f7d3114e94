"""The implementation of `orn clips`: a request completed from the manifest, and the job that stores
missing videos.

Files of a store are complete and never change. New, changed and retried videos go to new files, and
a video in several files is read from the newest one. Killing a job only loses unfinished files,
which the next run writes as planned.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from orn.data_manifests.find_videos import read_headers, warn_of_times_beyond
from orn.data_manifests.load import files_of, load_dataset
from orn.data_manifests.records import Dataset, Segment, Video
from orn.shared.data_files import Stamp
from orn.shared.devices import choose_device, devices_of_workers
from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError
from orn.shared.estimates import BYTES, estimated_seconds
from orn.shared.jobs.outputs import check_same_job, default_folder, start_over
from orn.shared.jobs.plan import FailedVideo, Plan, Unit, UnitPart, packed
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.jobs.run_units import (
    IN_THIS_PROCESS,
    Advance,
    Engine,
    Job,
    LocalEngine,
    UnitResult,
    job_outcome,
    run_units,
    save_summary,
)
from orn.shared.jobs.workers import in_threads
from orn.shared.text_summary import Outcome
from orn.shared.time_ranges import ALL_TIMES, TimeRange, TimeRanges
from orn.shared.video.read import FrameEstimate, has_changed
from orn.stage2_train.clip_store.clip_store import ClipStore, is_clip_store
from orn.stage2_train.clip_store.clips_config import ClipsConfig
from orn.stage2_train.clip_store.frame_maps import FrameMapper, map_settings, open_mapper
from orn.stage2_train.clip_store.motion_windows import motion_settings
from orn.stage2_train.clip_store.store_format import (
    CLIP_FILES,
    RECORDED_SETTINGS,
    StoredVideo,
    StoreSettings,
    map_bytes,
)
from orn.stage2_train.clip_store.unit_file import source_stamp, write_unit_file
from orn.stage2_train.settings.model_config import MOTION_CELLS

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


def make_clips(request: ClipsConfig, reporter: Reporter = SILENT) -> Outcome:
    """Store the frames and return the summary; see `build_clip_store`."""
    device = request.device if request.backbone else "cpu"
    engine = LocalEngine(devices=devices_of_workers(device, request.workers))
    return job_outcome(build_clip_store(_store_request(request), engine, reporter))


def describe_clips(request: ClipsConfig, dataset: Dataset | None = None) -> dict[str, Any]:
    """Return what `make_clips` would do, and log warnings for videos that cannot be opened.

    Args:
        request: the options.
        dataset: the data set, if it is open already.
    """
    store = _store_request(request, dataset)
    planned = _plan_store(store)
    settings, frames = store.settings, sum(planned.frames.values())
    seconds = estimated_seconds("clips", frames)
    if seconds is not None:
        seconds += estimated_seconds("decode", planned.pixels / 1e6) or 0.0
    if settings.motion is not None and seconds is not None:
        seconds += estimated_seconds("motion", planned.num_decoded) or 0.0
    if frames and seconds is not None and request.backbone is not None:
        work, device = f"maps {request.backbone}", choose_device(request.device)
        of_maps = estimated_seconds(work, frames, device=device)
        seconds = None if of_maps is None else seconds + of_maps
    return planned.job.describe(
        size=settings.describe_size(),
        rate=settings.rate,
        clip_frames=settings.clip_frames,
        backbone=request.backbone,
        motion=request.motion,
        to_fetch=_to_fetch(request) if planned.frames else None,
        frames="labeled" if store.ranges else "all",
        videos=len(store.videos),
        videos_to_do=len(planned.frames),
        frames_to_do=frames,
        estimated_bytes=round(frames * _frame_bytes(settings)),
        estimated_seconds=seconds,
        **store.counts,
    )


def _to_fetch(request: ClipsConfig) -> str | None:
    """Return which weights are downloaded, unless they were before."""
    if request.backbone is None or request.weights is not None:
        return None
    from orn.stage2_train.model.backbones import weights_to_fetch  # imports torch

    return weights_to_fetch(request.backbone)


def _store_request(request: ClipsConfig, dataset: Dataset | None = None) -> StoreRequest:
    """Return a request completed from the manifest."""
    if dataset is None:
        dataset = load_dataset(request.manifest, request.data_root, labels=False, needs_videos=True)
    if dataset.films is not None:  # whole videos at regular times
        rate = request.rate or dataset.films.rate
        request = replace(request, rate=rate, clip_frames=None, frames="all")
    ranges = _ranges(request, dataset)
    videos = [video for video in dataset.videos if not ranges or video.id in ranges]
    path = request.out or default_folder("clips", dataset.name)
    reads = files_of(request.manifest, request.data_root)
    CLIP_FILES.check_folder(path, reads=reads, fresh=request.fresh)
    size = request.size or (dataset.clip_height, dataset.clip_width)
    settings = StoreSettings(size=size, rate=request.rate)
    if request.backbone is not None:
        from orn.stage2_train.model.backbones import published_size  # imports torch

        frame = request.size or published_size(request.backbone)
        maps = map_settings(request.backbone, frame, weights=request.weights)
        settings = replace(settings, size=frame, maps=maps)
    if request.motion:
        cells = MOTION_CELLS if settings.maps is None else settings.maps.shape[1:]
        settings = replace(settings, motion=motion_settings(cells))
    if request.has_center_frames:
        clip_frames = request.clip_frames or dataset.clip_frames
        settings = replace(settings, clip_frames=clip_frames)
    return StoreRequest(
        path=path,
        settings=settings,
        videos=videos,
        ranges=ranges,
        segments=dataset.segments if ranges else (),
        weights=request.weights,
        processes=request.workers or usable_cores(),
        fresh=request.fresh,
        retry_failed=request.retry_failed,
        counts={
            "dataset": dataset.name,
            "missing": len(dataset.missing),
            "unlabeled": len(dataset.videos) - len(videos),
        },
    )


def _ranges(request: ClipsConfig, dataset: Dataset) -> dict[str, TimeRanges]:
    """Return the times that the segments of each video cover, or with center frames the distinct
    times of its segments; empty for whole videos."""
    labeled: dict[str, list[TimeRange]] = defaultdict(list)
    for segment in dataset.segments:
        times = TimeRange(segment.start_seconds, segment.stop_seconds)
        labeled[segment.video_id].append(times)
    if request.has_center_frames:
        in_order = partial(sorted, key=lambda times: (times.start, times.stop))
        return {name: TimeRanges(tuple(in_order({*own}))) for name, own in labeled.items()}
    are_timed = any(times != TimeRange() for ranges in labeled.values() for times in ranges)
    if request.frames == "all" or (request.frames is None and not are_timed):
        return {}
    return {video_id: TimeRanges.of(ranges) for video_id, ranges in labeled.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsWork:
    """Work that stores units of videos; see `orn.shared.jobs.run_units.Work`."""

    videos: Mapping[str, Video]
    folder: Path
    settings: StoreSettings
    weights: Path | None = None
    """File with the weights of the network that computes the maps; None for the published ones."""
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
        if self.settings.maps is None:
            return self
        mapper = open_mapper(self.settings.maps, device, weights=self.weights)
        return replace(self, mapper=mapper)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _PlannedStore:
    """A planned job, and its approximate size."""

    job: Job
    """All units of the store that exist or are needed; their sizes are in bytes."""
    frames: Mapping[str, int]
    """Number of frames to store of each missing video."""
    num_decoded: int
    """Number of frames to decode."""
    pixels: int
    """Number of pixels of these frames."""


def _plan_store(request: StoreRequest) -> _PlannedStore:
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
        {name: number * _frame_bytes(settings) for name, number in frames.items()},
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
    return _PlannedStore(
        job=job,
        frames=frames,
        num_decoded=sum(length.frames for length in lengths),
        pixels=sum(length.frames * length.pixels for length in lengths),
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


def _frame_bytes(settings: StoreSettings) -> float:
    """Return the approximate size of a stored frame and its maps."""
    return math.prod(settings.size) * BYTES["clips"] + sum(
        map_bytes(shape) for shape in settings.shapes.values()
    )


def build_clip_store(
    request: StoreRequest, engine: Engine = IN_THIS_PROCESS, reporter: Reporter = SILENT
) -> dict[str, Any]:
    """Add missing videos to a store.

    Returns:
        The fields of `save_summary`, the number of requested videos that were `present` before, and
        of `frames` of all requested videos; `bytes`, the size of the store.

    Raises:
        ConfigError: if the existing store has different settings.
        PipelineError: if a file cannot be written, a process is lost, or another process is writing
            to this store.
    """
    path, videos = request.path, request.videos
    with CLIP_FILES.locked(path):
        planned = _plan_store(request)
        work = ClipsWork(
            videos={
                video.id: replace(video, path=video.path.absolute())
                for video in videos
                if video.id in planned.frames
            },
            folder=path.absolute(),
            settings=request.settings,
            weights=request.weights,
        )
        result = run_units(planned.job, work, engine, reporter, task="clips", steps="videos")
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
        **request.counts,
    )
