"""The implementation of `orn clips`: complete the request from the manifest, and run its job."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from orn.data_manifests.headers import read_headers, warn_of_times_beyond
from orn.data_manifests.load import files_of, load_dataset
from orn.data_manifests.records import Dataset, Video
from orn.shared.devices import choose_device, devices_of_workers
from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError
from orn.shared.estimates import estimated_seconds
from orn.shared.jobs.outputs import default_folder
from orn.shared.jobs.run_units import LocalEngine
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.shared.video.read import FrameEstimate
from orn.stage2_train.clip_store.clips_request import ClipsRequest
from orn.stage2_train.clip_store.frame_maps import FrozenNetwork
from orn.stage2_train.clip_store.motion_windows import motion_settings
from orn.stage2_train.clip_store.store_format import CLIP_FILES, StoreSettings
from orn.stage2_train.clip_store.store_job import build_clip_store, frame_bytes, plan_store
from orn.stage2_train.settings.model_config import MOTION_CELLS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Store:
    """The store of a request."""

    path: Path
    settings: StoreSettings
    videos: tuple[Video, ...]
    network: FrozenNetwork | None
    """Network that computes the maps; None without maps."""
    planning: Mapping[str, Any]
    """Other arguments of `plan_store`."""
    counts: Mapping[str, Any]
    """The name of the data set, and the numbers of videos that are not requested."""


def make_clips(request: ClipsRequest) -> dict[str, Any]:
    """Store the frames and return the summary; see `build_clip_store`."""
    store = _read_request(request)
    device = request.device if store.network else "cpu"
    return build_clip_store(
        store.videos,
        store.path,
        store.settings,
        engine=LocalEngine(devices=devices_of_workers(device, request.workers)),
        network=store.network,
        summary=store.counts,
        **store.planning,
    )


def describe_clips(request: ClipsRequest, dataset: Dataset | None = None) -> dict[str, Any]:
    """Return what `make_clips` would do, and log warnings for videos that cannot be opened.

    Args:
        request: the options.
        dataset: the data set, if it is open already.
    """
    store = _read_request(request, dataset)
    planned = plan_store(store.videos, store.path, store.settings, **store.planning)
    settings, frames = store.settings, sum(planned.frames.values())
    return planned.job.describe(
        size=settings.describe_size(),
        rate=settings.rate,
        clip_frames=settings.clip_frames,
        backbone=request.backbone,
        motion=request.motion,
        to_fetch=store.network.to_fetch if store.network and planned.frames else None,
        frames="labeled" if store.planning["ranges"] else "all",
        videos=len(store.videos),
        videos_to_do=len(planned.frames),
        frames_to_do=frames,
        estimated_bytes=round(frames * frame_bytes(settings)),
        estimated_seconds=_seconds(frames, planned.num_decoded, store, request),
        **store.counts,
    )


def _read_request(request: ClipsRequest, dataset: Dataset | None = None) -> _Store:
    if dataset is None:
        dataset = load_dataset(request.manifest, request.data_root, labels=False, needs_videos=True)
    ranges = _ranges(request, dataset)
    videos = [video for video in dataset.videos if not ranges or video.id in ranges]
    path = request.out or default_folder("clips", dataset.name)
    reads = files_of(request.manifest, request.data_root)
    CLIP_FILES.check_folder(path, reads=reads, fresh=request.fresh)
    size = request.size or (dataset.clip_height, dataset.clip_width)
    settings = StoreSettings(size=size, rate=request.rate)
    network = None
    if request.backbone is not None:
        network = FrozenNetwork(backbone=request.backbone, weights=request.weights)
        frame = request.size or network.usual_size()
        settings = replace(settings, size=frame, maps=network.settings(frame))
    if request.motion:
        cells = MOTION_CELLS if settings.maps is None else settings.maps.shape[1:]
        settings = replace(settings, motion=motion_settings(cells))
    if request.has_center_frames:
        clip_frames = request.clip_frames or dataset.clip_frames
        settings = replace(settings, clip_frames=clip_frames)
    segments = dataset.segments if ranges else ()

    def lengths(videos: Sequence[Video]) -> dict[str, FrameEstimate]:
        headers = read_headers(videos)
        warn_of_times_beyond(segments, headers)
        return headers

    return _Store(
        path=path,
        settings=settings,
        videos=tuple(videos),
        network=network,
        planning={
            "ranges": ranges,
            "processes": request.workers or usable_cores(),
            "fresh": request.fresh,
            "retry_failed": request.retry_failed,
            "lengths": lengths,
        },
        counts={
            "dataset": dataset.name,
            "missing": len(dataset.missing),
            "unlabeled": len(dataset.videos) - len(videos),
        },
    )


def _seconds(
    frames: float, num_decoded: float, store: _Store, request: ClipsRequest
) -> float | None:
    """Return the estimated seconds for decoding frames and computing maps; None if unknown."""
    seconds = estimated_seconds("clips", frames) or 0.0
    if store.settings.motion is not None:
        seconds += estimated_seconds("motion", num_decoded) or 0.0
    if store.network is None or not frames:
        return seconds
    work, device = f"maps {request.backbone}", choose_device(request.device)
    of_maps = estimated_seconds(work, frames, device=device)
    return None if of_maps is None else seconds + of_maps


def _ranges(request: ClipsRequest, dataset: Dataset) -> dict[str, TimeRanges]:
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
    if not labeled:
        raise ConfigError(
            f"--frames labeled requires label tables, but data set {dataset.name!r} has none; use "
            "--frames all"
        )
    return {video_id: TimeRanges.of(ranges) for video_id, ranges in labeled.items()}
