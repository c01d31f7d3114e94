"""The job of `orn clips`: plan and report."""

import logging
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.filesize import decimal

from orn.data_manifests.headers import read_headers, warn_of_times_beyond
from orn.data_manifests.load import files_of, load_dataset
from orn.data_manifests.records import Dataset, Video
from orn.shared.devices import choose_device
from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError
from orn.shared.estimates import BYTES, estimated_seconds
from orn.shared.jobs.engines import choose_engine
from orn.shared.jobs.outputs import default_folder
from orn.shared.jobs.plan import UnitPart
from orn.shared.text import counted
from orn.shared.text_report import Report, Table
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.shared.video.read import FrameEstimate
from orn.stage2_train.clip_store.clip_store import read_clip_files
from orn.stage2_train.clip_store.clips_request import ClipsRequest
from orn.stage2_train.clip_store.frame_maps import ImageNetwork
from orn.stage2_train.clip_store.motion import MOTION_CELLS
from orn.stage2_train.clip_store.motion_windows import motion_settings
from orn.stage2_train.clip_store.store_format import CLIP_FILES, StoreSettings, map_bytes
from orn.stage2_train.clip_store.store_job import build_clip_store, missing_parts, open_store

logger = logging.getLogger(__name__)

_ASPECT = 16 / 9
"""Assumed aspect ratio of videos that keep it."""
_SHORT_SEGMENTS = 0.1
"""Fraction of segments that may have fewer stored maps than a clip has frames."""
_LEAST_SECONDS = 0.1
"""Least duration of a segment assumed for the rate of maps."""
_MEASURED_VIDEOS = 1000
"""Maximum number of videos whose duration determines that rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The request, completed from the manifest."""

    path: Path
    settings: StoreSettings
    videos: tuple[Video, ...]
    dataset: Dataset
    ranges: Mapping[str, TimeRanges]
    """Labeled times by video; empty for whole videos."""
    network: ImageNetwork | None
    """Network that computes the maps; None without maps."""
    num_unlabeled: int
    """Number of videos omitted because they have no segments."""


def make_clips(request: ClipsRequest) -> dict[str, Any]:
    """Store the frames and return a report; see `build_clip_store`."""
    plan = _plan(request)

    def sizes(parts: Sequence[UnitPart]) -> dict[str, float]:
        frame_bytes = _frame_bytes(plan.settings)
        lengths = _lengths(parts, plan)
        return {name: length.frames * frame_bytes for name, length in lengths.items()}

    report = build_clip_store(
        plan.videos,
        plan.path,
        plan.settings,
        ranges=plan.ranges,
        engine=choose_engine(request.engine, device=request.device if plan.network else "cpu"),
        processes=request.engine.workers or usable_cores(),
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
    frames = sum(length.frames for length in lengths.values())
    return {
        "path": str(plan.path),
        "size": settings.describe_size() if isinstance(settings.size, tuple) else None,
        "short_side": None if isinstance(settings.size, tuple) else settings.size,
        "quality": settings.jpeg_quality,
        "rate": settings.rate,
        "backbone": request.backbone,
        "motion": request.motion,
        "frames": "labeled" if plan.ranges else "all",
        "videos": len(plan.videos),
        "to_do": len(parts),
        "missing": len(plan.dataset.missing),
        "unlabeled": plan.num_unlabeled,
        "unreadable": list(unreadable),
        "estimated_frames": frames,
        "estimated_seconds": _seconds(frames, plan, request),
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
    ranges = _ranges(request, dataset)
    videos = [video for video in dataset.videos if not ranges or video.id in ranges]
    path = request.out or default_folder("clips", dataset.name)
    reads = files_of(request.manifest, request.data_root)
    CLIP_FILES.check_folder(path, reads=reads, fresh=request.fresh)
    size = request.short_side or request.size or (dataset.clip_height, dataset.clip_width)
    settings = StoreSettings(size=size, jpeg_quality=request.quality, rate=request.rate)
    network = None
    if request.backbone is not None:
        network = ImageNetwork(
            backbone=request.backbone, stage=request.backbone_stage, weights=request.weights
        )
        frame = request.size or network.usual_size()
        settings = replace(settings, size=frame, maps=network.settings(frame))
        if request.rate is None:
            settings = replace(settings, rate=_rate_of_maps(request, dataset, path, videos))
    if request.motion:
        cells = MOTION_CELLS if settings.maps is None else settings.maps.shape[1:]
        settings = replace(settings, motion=motion_settings(cells))
    return _Plan(
        path=path,
        settings=settings,
        videos=tuple(videos[: request.limit]),
        dataset=dataset,
        ranges=ranges,
        network=network,
        num_unlabeled=len(dataset.videos) - len(videos),
    )


def _rate_of_maps(
    request: ClipsRequest, dataset: Dataset, path: Path, videos: Sequence[Video]
) -> float | None:
    """Return the default rate of stored maps: the rate of the existing store, or one at which most
    segments have as many frames as a clip, because computing a map takes long."""
    files = {} if request.fresh else read_clip_files(path)
    if files:
        return next(iter(files.values())).record.settings.rate
    seconds = [
        segment.stop_seconds - segment.start_seconds
        for segment in dataset.segments
        if segment.start_seconds is not None and segment.stop_seconds is not None
    ]
    if not seconds:
        sample = videos[:: -(-len(videos) // _MEASURED_VIDEOS) or 1]
        seconds = [length.seconds for length in read_headers(sample).values() if length.frames]
    if not seconds:
        return None
    rate = dataset.clip_frames / max(float(np.quantile(seconds, _SHORT_SEGMENTS)), _LEAST_SECONDS)
    return math.ceil(10 * rate) / 10


def _seconds(frames: float, plan: _Plan, request: ClipsRequest) -> float | None:
    """Return the estimated seconds for decoding frames and computing maps; None if unknown."""
    size = plan.settings.size
    if plan.network is None or not isinstance(size, tuple) or not frames:
        return estimated_seconds("clips", frames)
    if choose_device(request.device) != "cpu":
        return None
    of_a_map = plan.network.seconds_of_a_map(size)
    return round((estimated_seconds("clips", frames) or 0) + frames * of_a_map / usable_cores(), 3)


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
    """Return the approximate number of frames to store of each missing video."""
    missing = {part.video_id: TimeRanges(part.ranges) for part in parts}
    lengths = read_headers([video for video in plan.videos if video.id in missing])
    if plan.ranges:
        warn_of_times_beyond(plan.dataset.segments, lengths)
    estimates = {}
    for name, length in lengths.items():
        kept = length.at_rate(plan.settings.rate)
        # times may be wrong, and folders may lack most frames
        frames = min(missing[name].length(kept.seconds) * kept.rate, kept.frames)
        estimates[name] = replace(kept, frames=round(frames))
    return estimates


def _frame_bytes(settings: StoreSettings) -> float:
    size = settings.size
    pixels = math.prod(size) if isinstance(size, tuple) else size * size * _ASPECT
    return pixels * BYTES["clips"] + sum(map_bytes(shape) for shape in settings.shapes.values())
