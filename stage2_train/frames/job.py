"""What `orn clips` was asked for, resolved against the manifest."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from shared.errors import ConfigError
from shared.manifests.load import load_dataset
from shared.manifests.records import Dataset, Video
from stage2_train.frames.estimate import StoreEstimate, check_space, estimate_store
from stage2_train.frames.ranges import TimeRanges, labelled_ranges
from stage2_train.frames.schema import StoreSettings
from stage2_train.frames.verify import verify_store
from stage2_train.frames.writer import build_clip_store, remaining_videos

__all__ = ["ClipsRequest", "describe_clips", "make_clips", "verify_clips"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsRequest:
    """What to store; None takes the default."""

    manifest: str
    """Name or file of the manifest."""
    data_root: Path
    """Folder under which data sets lie."""
    out: Path | None = None
    """The store."""
    size: tuple[int, int] | None = None
    """(height, width) of the stored frames."""
    short_side: int | None = None
    """Length of their shorter side, in place of `size`."""
    quality: int = 92
    """JPEG quality."""
    rate: float | None = None
    """Frames a second that are picked; None for all of them."""
    frames: Literal["all", "labelled"] | None = None
    """Whole videos, or only the times of their segments; None takes the latter where segments have
    times."""
    workers: int = 1
    """Processes that decode."""
    limit: int | None = None
    """Only the first so many videos."""
    fresh: bool = False
    """Whether to throw away what is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The request, resolved."""

    path: Path
    settings: StoreSettings
    videos: tuple[Video, ...]
    ranges: dict[str, TimeRanges]
    """Of each video where only labelled times are wanted; empty for whole videos."""
    num_missing: int
    num_unlabelled: int
    """Videos left out because no segment is in them."""

    @property
    def frames(self) -> str:
        """Which frames of a video are stored."""
        return "labelled" if self.ranges else "all"


def make_clips(request: ClipsRequest) -> dict[str, Any]:
    """Stores the frames and says what was done; see `build_clip_store`.

    Raises:
        ClipStoreError: also if the disk clearly has too little space.
    """
    plan = _plan(request)
    todo = _todo(plan, request)
    if todo:
        estimate = _estimate(plan, todo, request)
        logger.info("%s: %s", plan.path, estimate.describe())
        check_space(estimate, plan.path)
    report = build_clip_store(
        plan.videos,
        plan.path,
        plan.settings,
        ranges=plan.ranges,
        workers=request.workers,
        fresh=request.fresh,
    )
    return {
        "path": str(report.path),
        "added": report.num_added,
        "present": report.num_present,
        "frames": report.num_frames,
        "bytes": report.path.stat().st_size,
        "missing": plan.num_missing,
        "unlabelled": plan.num_unlabelled,
        "failed": [{"id": row.id, "reason": row.reason} for row in report.failed],
    }


def describe_clips(request: ClipsRequest) -> dict[str, Any]:
    """What `make_clips` would do; writes nothing."""
    plan = _plan(request)
    settings = plan.settings
    todo = _todo(plan, request)
    estimate = _estimate(plan, todo, request)
    return {
        "path": str(plan.path),
        "size": None if settings.short_side else f"{settings.height}x{settings.width}",
        "short_side": settings.short_side,
        "quality": settings.jpeg_quality,
        "rate": settings.rate,
        "frames": plan.frames,
        "videos": len(plan.videos),
        "to_do": len(todo),
        "missing": plan.num_missing,
        "unlabelled": plan.num_unlabelled,
        "estimated_frames": estimate.num_frames,
        "estimated_frame_bytes": round(estimate.frame_bytes),
        "estimated_bytes": estimate.added_bytes,
        "needed_bytes": estimate.needed_bytes,
        "free_bytes": estimate.free_bytes,
    }


def verify_clips(request: ClipsRequest) -> dict[str, Any]:
    """What is wrong with the store; see `verify_store`."""
    plan = _plan(request)
    problems = verify_store(plan.path, plan.videos, ranges=plan.ranges)
    return {
        "ok": not problems,
        "path": str(plan.path),
        "videos": len(plan.videos),
        "problems": [asdict(problem) for problem in problems],
    }


def _plan(request: ClipsRequest) -> _Plan:
    dataset = load_dataset(request.manifest, request.data_root, labels=False)
    ranges = _ranges(request, dataset)
    videos = dataset.videos
    if ranges:
        videos = tuple(video for video in videos if video.id in ranges)
    return _Plan(
        path=request.out or Path("clips") / f"{dataset.name}.h5",
        settings=_settings(request, dataset),
        videos=videos[: request.limit],
        ranges=ranges,
        num_missing=len(dataset.missing),
        num_unlabelled=len(dataset.videos) - len(videos),
    )


def _ranges(request: ClipsRequest, dataset: Dataset) -> dict[str, TimeRanges]:
    timed = any(
        segment.start_seconds is not None or segment.stop_seconds is not None
        for segment in dataset.segments
    )
    if request.frames == "all" or (request.frames is None and not timed):
        return {}
    if not dataset.segments:
        raise ConfigError(
            f"--frames labelled: data set {dataset.name!r} has no segments here, its label tables "
            "are missing; use --frames all"
        )
    return labelled_ranges(dataset.segments)


def _settings(request: ClipsRequest, dataset: Dataset) -> StoreSettings:
    if request.short_side is not None and request.size is not None:
        raise ConfigError("--size and --short-side: wanted one of them, found both")
    height, width = request.size or (dataset.clip_height, dataset.clip_width)
    squashed = request.short_side is None
    return StoreSettings(
        height=height if squashed else None,
        width=width if squashed else None,
        short_side=request.short_side,
        jpeg_quality=request.quality,
        rate=request.rate,
    )


def _todo(plan: _Plan, request: ClipsRequest) -> tuple[Video, ...]:
    if request.fresh:
        return plan.videos
    return remaining_videos(plan.videos, plan.path, plan.settings, ranges=plan.ranges)


def _estimate(plan: _Plan, todo: tuple[Video, ...], request: ClipsRequest) -> StoreEstimate:
    return estimate_store(
        todo, plan.path, plan.settings, ranges=plan.ranges, replaces=request.fresh
    )
