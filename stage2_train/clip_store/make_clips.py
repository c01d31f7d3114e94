"""The job of `orn clips`, which stores missing videos.

Files of a store are complete and never change. New, changed and retried videos go to new files, and
a video in several files is read from the newest one. Killing a job only loses unfinished files,
which the next run writes as planned.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from orn.data_manifests.load import files_of, load_dataset
from orn.data_manifests.records import Dataset, Video
from orn.shared.devices import choose_device, devices_of_workers
from orn.shared.environment import usable_cores
from orn.shared.estimates import estimated_seconds
from orn.shared.jobs.outputs import default_folder
from orn.shared.jobs.plan import FailedVideo, Unit
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.jobs.run_units import (
    IN_THIS_PROCESS,
    Advance,
    Engine,
    LocalEngine,
    UnitResult,
    job_outcome,
    run_units,
    save_summary,
)
from orn.shared.text_summary import Outcome
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.clips_config import ClipsConfig
from orn.stage2_train.clip_store.frame_maps import FrameMapper, map_settings, open_mapper
from orn.stage2_train.clip_store.motion_windows import motion_settings
from orn.stage2_train.clip_store.plan_store import (
    StoreRequest,
    frame_bytes,
    plan_store,
)
from orn.stage2_train.clip_store.store_format import (
    CLIP_FILES,
    StoreSettings,
)
from orn.stage2_train.clip_store.unit_file import write_unit_file
from orn.stage2_train.settings.model_config import MOTION_CELLS

logger = logging.getLogger(__name__)


def make_clips(config: ClipsConfig, reporter: Reporter = SILENT) -> Outcome:
    """Store the frames and return the summary; see `build_clip_store`."""
    device = config.device if config.backbone else "cpu"
    engine = LocalEngine(devices=devices_of_workers(device, config.workers))
    return job_outcome(build_clip_store(_store_request(config), engine, reporter))


def describe_clips(config: ClipsConfig, dataset: Dataset | None = None) -> dict[str, Any]:
    """Return what `make_clips` would do, and log warnings for videos that cannot be opened.

    Args:
        config: the options.
        dataset: the data set, if it is open already.
    """
    store = _store_request(config, dataset)
    planned = plan_store(store)
    settings, frames = store.settings, sum(planned.frames.values())
    seconds = estimated_seconds("clips", frames)
    if seconds is not None:
        seconds += estimated_seconds("decode", planned.pixels / 1e6) or 0.0
    if settings.motion is not None and seconds is not None:
        seconds += estimated_seconds("motion", planned.num_decoded) or 0.0
    if frames and seconds is not None and config.backbone is not None:
        work, device = f"maps {config.backbone}", choose_device(config.device)
        of_maps = estimated_seconds(work, frames, device=device)
        seconds = None if of_maps is None else seconds + of_maps
    return planned.job.describe(
        size=settings.describe_size(),
        rate=settings.rate,
        clip_frames=settings.clip_frames,
        backbone=config.backbone,
        motion=config.motion,
        to_fetch=_to_fetch(config) if planned.frames else None,
        frames="labeled" if store.ranges else "all",
        videos=len(store.videos),
        videos_to_do=len(planned.frames),
        frames_to_do=frames,
        estimated_bytes=round(frames * frame_bytes(settings)),
        estimated_seconds=seconds,
        **store.counts,
    )


def _to_fetch(config: ClipsConfig) -> str | None:
    """Return which weights are downloaded, unless they were before."""
    if config.backbone is None or config.weights is not None:
        return None
    from orn.stage2_train.model.backbones import weights_to_fetch  # imports torch

    return weights_to_fetch(config.backbone)


def _store_request(config: ClipsConfig, dataset: Dataset | None = None) -> StoreRequest:
    """Return a config completed from the manifest."""
    if dataset is None:
        dataset = load_dataset(config.manifest, config.data_root, labels=False, needs_videos=True)
    if dataset.films is not None:  # whole videos at regular times
        rate = config.rate or dataset.films.rate
        config = replace(config, rate=rate, clip_frames=None)
    ranges = _ranges(config, dataset)
    videos = [video for video in dataset.videos if not ranges or video.id in ranges]
    path = config.out or default_folder("clips", dataset.name)
    reads = files_of(config.manifest, config.data_root)
    CLIP_FILES.check_folder(path, reads=reads, fresh=config.fresh)
    size = config.size or (dataset.clip_height, dataset.clip_width)
    settings = StoreSettings(size=size, rate=config.rate)
    if config.backbone is not None:
        from orn.stage2_train.model.backbones import published_size  # imports torch

        frame = config.size or published_size(config.backbone)
        maps = map_settings(config.backbone, frame, weights=config.weights)
        settings = replace(settings, size=frame, maps=maps)
    if config.motion:
        cells = MOTION_CELLS if settings.maps is None else settings.maps.shape[1:]
        settings = replace(settings, motion=motion_settings(cells))
    if config.has_center_frames:
        clip_frames = config.clip_frames or dataset.clip_frames
        settings = replace(settings, clip_frames=clip_frames)
    return StoreRequest(
        path=path,
        settings=settings,
        videos=videos,
        ranges=ranges,
        segments=dataset.segments if ranges else (),
        weights=config.weights,
        processes=config.workers or usable_cores(),
        fresh=config.fresh,
        retry_failed=config.retry_failed,
        counts={
            "dataset": dataset.name,
            "missing": len(dataset.missing),
            "unlabeled": len(dataset.videos) - len(videos),
        },
    )


def _ranges(config: ClipsConfig, dataset: Dataset) -> dict[str, TimeRanges]:
    """Return the times that the segments of each video cover, or with center frames the distinct
    times of its segments; empty for whole videos, if segments have no times or are intervals."""
    labeled: dict[str, list[TimeRange]] = defaultdict(list)
    for segment in dataset.segments:
        times = TimeRange(segment.start_seconds, segment.stop_seconds)
        labeled[segment.video_id].append(times)
    if config.has_center_frames:
        in_order = partial(sorted, key=lambda times: (times.start, times.stop))
        return {name: TimeRanges(tuple(in_order({*own}))) for name, own in labeled.items()}
    are_timed = any(times != TimeRange() for ranges in labeled.values() for times in ranges)
    if dataset.films is not None or not are_timed:
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
        planned = plan_store(request)
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
