"""The job of `orn clips`: plan, size estimate, and report."""

import logging
import shutil
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from orn.shared.environment import usable_cores
from orn.shared.errors import ClipStoreError, ConfigError, VideoDecodeError
from orn.shared.estimates import estimated_seconds
from orn.shared.jobs.engines import choose_engine
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.jobs.plan import UnitPart
from orn.shared.manifests.headers import read_headers, warn_of_times_beyond
from orn.shared.manifests.load import files_of, load_dataset, require_videos
from orn.shared.manifests.records import Dataset, Segment, Video
from orn.shared.manifests.source import some_videos
from orn.shared.report import Report, Table
from orn.shared.text import counted
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.shared.video.read import read_frames
from orn.stage2_train.frames.jpeg import encode_frame
from orn.stage2_train.frames.request import ClipsRequest
from orn.stage2_train.frames.schema import CLIP_FILES, StoreSettings
from orn.stage2_train.frames.store_job import (
    build_clip_store,
    missing_parts,
    open_store,
)

logger = logging.getLogger(__name__)

_SAMPLE_VIDEOS = 8
_SAMPLE_FRAMES = 16
"""Number of frames decoded per sample video, of which every fourth is encoded."""
_VIDEO_BYTES = 100_000
"""Upper bound for a video's size without its frames."""
_TOLERANCE = 1.5
"""The job fails if the estimated size exceeds the free space by this factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The request, completed from the manifest."""

    path: Path
    settings: StoreSettings
    videos: tuple[Video, ...]
    segments: tuple[Segment, ...]
    """All segments of the data set."""
    ranges: Mapping[str, TimeRanges]
    """Labelled times by video; empty for whole videos."""
    num_missing: int
    num_unlabelled: int
    """Number of videos omitted because they have no segments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Estimate:
    """Estimated size of the missing videos, and the free space."""

    frames: Mapping[str, float]
    """Estimated number of frames by video."""
    unreadable: Mapping[str, str]
    """Reasons why videos cannot be read, by video."""
    frame_bytes: float
    """Mean size of a stored frame, measured on a few frames."""
    free_bytes: int
    """Free space on the store's disk, including files that are removed first."""

    @property
    def num_frames(self) -> int:
        """Estimated number of frames in all missing videos."""
        return round(sum(self.frames.values()))

    @property
    def added_bytes(self) -> int:
        """Estimated size of these frames."""
        return round(self.num_frames * self.frame_bytes)

    @property
    def needed_bytes(self) -> int:
        """Free space needed for the missing videos."""
        return self.added_bytes + len(self.frames) * _VIDEO_BYTES

    def describe(self) -> str:
        """Return the estimate as a clause, for messages."""
        return (
            f"about {counted(self.num_frames, 'frame')} of {decimal(round(self.frame_bytes))}, "
            f"which require {decimal(self.needed_bytes)} of free space ({decimal(self.free_bytes)} "
            "available)"
        )

    def check(self, path: Path) -> None:
        """Log the estimate; raise ClipStoreError if the disk of `path` has too little space."""
        if self.frames:
            logger.info("%s: %s", path, self.describe())
        if self.needed_bytes > _TOLERANCE * self.free_bytes:
            longest = max(self.frames, key=lambda name: self.frames[name])
            raise ClipStoreError(
                f"{path}: not enough free space for {self.describe()}; the longest video is "
                f"{longest!r} with {round(self.frames[longest]):,} frames according to its header; "
                "choose a different --out, a smaller --size, --quality or --rate, --frames "
                "labelled, or part of the data set with --limit"
            )


def make_clips(request: ClipsRequest) -> dict[str, Any]:
    """Store the frames and return a report; see `build_clip_store`.

    Raises:
        ClipStoreError: also if there is too little free disk space.
    """
    plan = _plan(request)

    def sizes(parts: Sequence[UnitPart]) -> dict[str, float]:
        estimate = _estimate(parts, plan, fresh=request.fresh)
        estimate.check(plan.path)
        return {name: frames * estimate.frame_bytes for name, frames in estimate.frames.items()}

    report = build_clip_store(
        plan.videos,
        plan.path,
        plan.settings,
        ranges=plan.ranges,
        engine=choose_engine(request.engine),
        processes=request.engine.workers or usable_cores(),
        fresh=request.fresh,
        retry_failed=request.retry_failed,
        sizes=sizes,
    )
    return {
        "path": str(plan.path),
        "added": report.num_added,
        "present": report.num_present,
        "frames": report.num_frames,
        "bytes": _stored_bytes(plan.path),
        "missing": plan.num_missing,
        "unlabelled": plan.num_unlabelled,
        "failed": [{"id": row.id, "reason": row.reason} for row in report.failed],
    }


def describe_clips(request: ClipsRequest) -> dict[str, Any]:
    """Return what `make_clips` would do, and log warnings for videos that cannot be opened."""
    plan = _plan(request)
    settings = plan.settings
    store = None if request.fresh else open_store(plan.path, settings)
    parts = missing_parts(store, plan.videos, plan.ranges, retry_failed=request.retry_failed)
    estimate = _estimate(parts, plan, fresh=request.fresh)
    for video_id, problem in estimate.unreadable.items():
        logger.warning("video %s cannot be decoded: %s", video_id, problem)
    return {
        "path": str(plan.path),
        "size": settings.describe_size() if isinstance(settings.size, tuple) else None,
        "short_side": None if isinstance(settings.size, tuple) else settings.size,
        "quality": settings.jpeg_quality,
        "rate": settings.rate,
        "frames": "labelled" if plan.ranges else "all",
        "videos": len(plan.videos),
        "to_do": len(parts),
        "missing": plan.num_missing,
        "unlabelled": plan.num_unlabelled,
        "unreadable": list(estimate.unreadable),
        "estimated_frames": estimate.num_frames,
        "estimated_seconds": estimated_seconds("clips", estimate.num_frames),
        "estimated_frame_bytes": round(estimate.frame_bytes),
        "estimated_bytes": estimate.added_bytes,
        "needed_bytes": estimate.needed_bytes,
        "free_bytes": estimate.free_bytes,
    }


def as_report(result: dict[str, Any]) -> Report:
    """Return the report of `make_clips`."""
    present, failed = result["present"], len(result["failed"])
    frames, size = counted(result["frames"], "frame"), decimal(result["bytes"])
    videos = f"{counted(result['added'], 'video')} stored, {present:,} already there"
    facts = [("Clip store", f"{result['path']}: {frames}, {size}"), ("Videos", videos)]
    left_out = {"missing": result["missing"], "without labels": result["unlabelled"]}
    left_out["cannot be decoded"] = failed
    facts += [("", f"{number:,} {why}") for why, number in left_out.items() if number]
    rows = [(each["id"], each["reason"]) for each in result["failed"]]
    return Report(facts=facts, tables=[Table(header=("failed", "reason"), rows=rows)])


def _plan(request: ClipsRequest) -> _Plan:
    dataset = load_dataset(request.manifest, request.data_root, labels=False)
    require_videos(dataset, request.manifest, request.data_root)
    size = request.short_side or request.size or (dataset.clip_height, dataset.clip_width)
    ranges = _ranges(request, dataset)
    videos = [video for video in dataset.videos if not ranges or video.id in ranges]
    path = request.out or Path("clips") / dataset.name
    reads = files_of(request.manifest, request.data_root) if request.fresh else ()
    check_output_folder(path, ours=[CLIP_FILES.pattern], reads=reads)
    return _Plan(
        path=path,
        settings=StoreSettings(size=size, jpeg_quality=request.quality, rate=request.rate),
        videos=tuple(videos[: request.limit]),
        segments=dataset.segments,
        ranges=ranges,
        num_missing=len(dataset.missing),
        num_unlabelled=len(dataset.videos) - len(videos),
    )


def _ranges(request: ClipsRequest, dataset: Dataset) -> dict[str, TimeRanges]:
    """Return the times that the segments of each video cover; empty for whole videos."""
    labelled: dict[str, list[TimeRange]] = defaultdict(list)
    for segment in dataset.segments:
        times = TimeRange(segment.start_seconds, segment.stop_seconds)
        labelled[segment.video_id].append(times)
    are_timed = any(times != TimeRange() for ranges in labelled.values() for times in ranges)
    if request.frames == "all" or (request.frames is None and not are_timed):
        return {}
    if not labelled:
        raise ConfigError(
            f"--frames labelled requires label tables, but data set {dataset.name!r} has none; use "
            "--frames all"
        )
    return {video_id: TimeRanges.of(ranges) for video_id, ranges in labelled.items()}


def _estimate(parts: Sequence[UnitPart], plan: _Plan, *, fresh: bool) -> _Estimate:
    """Estimate sizes from the headers of all missing videos and from a sample of frames."""
    missing = {part.video_id: TimeRanges(part.ranges) for part in parts}
    todo = [video for video in plan.videos if video.id in missing]
    lengths = read_headers(todo)
    if plan.ranges:
        warn_of_times_beyond(plan.segments, lengths)
    frames = {}
    for name, length in lengths.items():
        kept = length.at_rate(plan.settings.rate)
        # times may be wrong, and folders may lack most frames
        frames[name] = min(missing[name].length(kept.seconds) * kept.rate, kept.frames)
    sizes: list[float] = []
    for video in some_videos(todo, _SAMPLE_VIDEOS):
        with suppress(VideoDecodeError):
            sampled = read_frames(video.path, rate=video.rate, stop=_SAMPLE_FRAMES)
            sizes += [
                float(len(encode_frame(each.image, plan.settings)))
                for each in islice(sampled, 0, None, 4)
            ]
    folder = next(
        each for each in (plan.path.absolute(), *plan.path.absolute().parents) if each.exists()
    )
    return _Estimate(
        frames=frames,
        unreadable={name: each.problem for name, each in lengths.items() if each.problem},
        frame_bytes=statistics.fmean(sizes) if sizes else 0.0,
        free_bytes=shutil.disk_usage(folder).free + (_stored_bytes(plan.path) if fresh else 0),
    )


def _stored_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob(CLIP_FILES.pattern))
