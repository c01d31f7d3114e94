"""The job of `orn clips`: plan and report."""

import logging
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from orn.data_manifests.headers import read_headers, warn_of_times_beyond
from orn.data_manifests.load import files_of, load_dataset
from orn.data_manifests.records import Dataset, Video
from orn.shared.devices import choose_device, devices_of_workers
from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError
from orn.shared.estimates import BYTES, estimated_seconds
from orn.shared.jobs.engines import LocalEngine
from orn.shared.jobs.outputs import default_folder
from orn.shared.jobs.plan import UnitPart
from orn.shared.text import counted
from orn.shared.text_report import Report, Table
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.shared.video.read import FrameEstimate
from orn.stage2_train.clip_store.clips_request import ClipsRequest
from orn.stage2_train.clip_store.frame_maps import FrozenNetwork
from orn.stage2_train.clip_store.motion_windows import motion_settings
from orn.stage2_train.clip_store.store_format import CLIP_FILES, StoreSettings, map_bytes
from orn.stage2_train.clip_store.store_job import build_clip_store, missing_parts, open_store
from orn.stage2_train.settings.model_config import MOTION_CELLS

logger = logging.getLogger(__name__)

_ASPECT = 16 / 9
"""Assumed aspect ratio of videos that keep it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The request, completed from the manifest."""

    path: Path
    settings: StoreSettings
    videos: tuple[Video, ...]
    dataset: Dataset
    ranges: Mapping[str, TimeRanges]
    """Labeled times by video, or those of each segment; empty for whole videos."""
    network: FrozenNetwork | None
    """Network that computes the maps; None without maps."""
    num_unlabeled: int
    """Number of videos omitted because they have no segments."""


def make_clips(request: ClipsRequest) -> dict[str, Any]:
    """Store the frames and return a report; see `build_clip_store`."""
    plan = _plan(request)

    def sizes(parts: Sequence[UnitPart]) -> dict[str, float]:
        frame_bytes = _frame_bytes(plan.settings)
        numbers = _numbers(parts, _lengths(parts, plan), plan.settings)
        return {name: number * frame_bytes for name, number in numbers.items()}

    device = request.device if plan.network else "cpu"
    report = build_clip_store(
        plan.videos,
        plan.path,
        plan.settings,
        ranges=plan.ranges,
        engine=LocalEngine(devices=devices_of_workers(device, request.workers)),
        processes=request.workers or usable_cores(),
        fresh=request.fresh,
        retry_failed=request.retry_failed,
        network=plan.network,
        sizes=sizes,
    )
    return {
        "path": str(plan.path),
        "added": report.num_added,
        "present": report.num_present,
        "frames": report.num_frames,
        "bytes": sum(file.stat().st_size for file in plan.path.glob(CLIP_FILES.pattern)),
        "missing": len(plan.dataset.missing),
        "unlabeled": plan.num_unlabeled,
        "failed": [{"id": row.id, "reason": row.reason} for row in report.failed],
    }


def describe_clips(request: ClipsRequest, dataset: Dataset | None = None) -> dict[str, Any]:
    """Return what `make_clips` would do, and log warnings for videos that cannot be opened.

    Args:
        request: the options.
        dataset: the data set, if it is open already.
    """
    plan = _plan(request, dataset)
    settings = plan.settings
    store = None if request.fresh else open_store(plan.path, settings)
    parts = missing_parts(store, plan.videos, plan.ranges, retry_failed=request.retry_failed)
    lengths = _lengths(parts, plan)
    unreadable = {name: length.problem for name, length in lengths.items() if length.problem}
    for video_id, problem in unreadable.items():
        logger.warning("video %s cannot be decoded: %s", video_id, problem)
    frames = sum(_numbers(parts, lengths, settings).values())
    num_decoded = sum(length.frames for length in lengths.values())
    return {
        "path": str(plan.path),
        "size": settings.describe_size() if isinstance(settings.size, tuple) else None,
        "short_side": None if isinstance(settings.size, tuple) else settings.size,
        "rate": settings.rate,
        "clip_frames": settings.clip_frames,
        "backbone": request.backbone,
        "motion": request.motion,
        "to_fetch": plan.network.to_fetch if plan.network and parts else None,
        "frames": "labeled" if plan.ranges else "all",
        "videos": len(plan.videos),
        "to_do": len(parts),
        "missing": len(plan.dataset.missing),
        "unlabeled": plan.num_unlabeled,
        "unreadable": list(unreadable),
        "estimated_frames": frames,
        "estimated_seconds": _seconds(frames, num_decoded, plan, request),
        "estimated_bytes": round(frames * _frame_bytes(settings)),
    }


def as_report(result: dict[str, Any]) -> Report:
    """Return the report of `make_clips`."""
    present, failed = result["present"], len(result["failed"])
    frames, size = counted(result["frames"], "frame"), decimal(result["bytes"])
    videos = f"{counted(result['added'], 'video')} stored, {present:,} already there"
    facts = [("Clip store", f"{result['path']}: {frames}, {size}"), ("Videos", videos)]
    left_out = {"missing": result["missing"], "without labels": result["unlabeled"]}
    left_out["cannot be decoded"] = failed
    facts += [("", f"{number:,} {why}") for why, number in left_out.items() if number]
    rows = [(failed_video["id"], failed_video["reason"]) for failed_video in result["failed"]]
    return Report(facts=facts, tables=[Table(header=("failed", "reason"), rows=rows)])


def _plan(request: ClipsRequest, dataset: Dataset | None = None) -> _Plan:
    if dataset is None:
        dataset = load_dataset(request.manifest, request.data_root, labels=False, needs_videos=True)
    ranges = _segments(dataset) if request.has_center_frames else _ranges(request, dataset)
    videos = [video for video in dataset.videos if not ranges or video.id in ranges]
    path = request.out or default_folder("clips", dataset.name)
    reads = files_of(request.manifest, request.data_root)
    CLIP_FILES.check_folder(path, reads=reads, fresh=request.fresh)
    size = request.short_side or request.size or (dataset.clip_height, dataset.clip_width)
    settings = StoreSettings(size=size, rate=request.rate)
    network = None
    if request.backbone is not None:
        network = FrozenNetwork(
            backbone=request.backbone, stage=request.backbone_stage, weights=request.weights
        )
        frame = request.size or network.usual_size()
        settings = replace(settings, size=frame, maps=network.settings(frame))
    if request.motion:
        cells = MOTION_CELLS if settings.maps is None else settings.maps.shape[1:]
        settings = replace(settings, motion=motion_settings(cells))
    if request.has_center_frames:
        clip_frames = request.clip_frames or dataset.clip_frames
        settings = replace(settings, clip_frames=clip_frames)
    return _Plan(
        path=path,
        settings=settings,
        videos=tuple(videos[: request.limit]),
        dataset=dataset,
        ranges=ranges,
        network=network,
        num_unlabeled=len(dataset.videos) - len(videos),
    )


def _seconds(frames: float, num_decoded: float, plan: _Plan, request: ClipsRequest) -> float | None:
    """Return the estimated seconds for decoding frames and computing maps; None if unknown."""
    size, seconds = plan.settings.size, estimated_seconds("clips", frames) or 0.0
    if plan.settings.motion is not None:
        seconds += estimated_seconds("motion", num_decoded) or 0.0
    if plan.network is None or not isinstance(size, tuple) or not frames:
        return seconds
    if choose_device(request.device) != "cpu":
        return None
    return round(seconds + frames * plan.network.seconds_of_a_map(size) / usable_cores(), 3)


def _segments(dataset: Dataset) -> dict[str, TimeRanges]:
    """Return the distinct times of the segments of each video, or whole videos without labels."""
    times: dict[str, set[TimeRange]] = defaultdict(set)
    for segment in dataset.segments:
        times[segment.video_id].add(TimeRange(segment.start_seconds, segment.stop_seconds))
    in_order = partial(sorted, key=lambda times: (times.start, times.stop))
    return {name: TimeRanges(tuple(in_order(own))) for name, own in times.items()}


def _ranges(request: ClipsRequest, dataset: Dataset) -> dict[str, TimeRanges]:
    """Return the times that the segments of each video cover; empty for whole videos."""
    labeled: dict[str, list[TimeRange]] = defaultdict(list)
    for segment in dataset.segments:
        times = TimeRange(segment.start_seconds, segment.stop_seconds)
        labeled[segment.video_id].append(times)
    are_timed = any(times != TimeRange() for ranges in labeled.values() for times in ranges)
    if request.frames == "all" or (request.frames is None and not are_timed):
        return {}
    if not labeled:
        raise ConfigError(
            f"--frames labeled requires label tables, but data set {dataset.name!r} has none; use "
            "--frames all"
        )
    return {video_id: TimeRanges.of(ranges) for video_id, ranges in labeled.items()}


def _lengths(parts: Sequence[UnitPart], plan: _Plan) -> dict[str, FrameEstimate]:
    """Return the approximate length of each missing video."""
    missing = {part.video_id for part in parts}
    lengths = read_headers([video for video in plan.videos if video.id in missing])
    if plan.ranges:
        warn_of_times_beyond(plan.dataset.segments, lengths)
    return lengths


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


def _frame_bytes(settings: StoreSettings) -> float:
    size = settings.size
    pixels = math.prod(size) if isinstance(size, tuple) else size * size * _ASPECT
    return pixels * BYTES["clips"] + sum(map_bytes(shape) for shape in settings.shapes.values())
