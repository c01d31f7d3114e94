"""The job behind `orn clips`: what was asked for, how large it will be, and what was done."""

import logging
import math
import shutil
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from orn.shared.errors import ClipStoreError, ConfigError, VideoDecodeError
from orn.shared.jobs.outputs import check_output_files
from orn.shared.manifests.headers import read_headers, warn_of_times_beyond
from orn.shared.manifests.load import files_of, load_dataset, require_videos
from orn.shared.manifests.records import Dataset, Segment, Video
from orn.shared.manifests.source import source_of
from orn.shared.text_table import counted
from orn.shared.time_ranges import ALL_TIMES, TimeRange, TimeRanges
from orn.shared.video.read import estimate, read_frames
from orn.stage2_train.frames.files import files_there
from orn.stage2_train.frames.jpeg import encode_frame
from orn.stage2_train.frames.parts import parts_folder
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.frames.verify import verify_store
from orn.stage2_train.frames.writer import build_clip_store, joined_bytes, remaining_videos

logger = logging.getLogger(__name__)

_SAMPLE_VIDEOS = 8
_SAMPLE_FRAMES = 16
"""Frames decoded of each sample video, every fourth of which is encoded."""
PART_BYTES = 16_000
"""What a part takes besides its pictures."""
_CERTAINLY = 1.5
"""How many times too little the space must be to be refused: an estimate may be off."""


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
    """The request, resolved against the manifest and what the store holds."""

    path: Path
    settings: StoreSettings
    videos: tuple[Video, ...]
    segments: tuple[Segment, ...]
    """Of the data set."""
    ranges: Mapping[str, TimeRanges]
    """Of each video where only labelled times are wanted; empty for whole videos."""
    num_missing: int
    num_unlabelled: int
    """Videos left out because no segment is in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Estimate:
    """What is still to be stored, and the space there is for it."""

    num_videos: int
    num_frames: int
    longest: tuple[int, str]
    """Frames of the longest of the samples, and its id."""
    frame_bytes: float
    """Bytes of a frame, measured on the samples."""
    free_bytes: int
    """Free on the store's disk, with what is thrown away first."""
    held_bytes: int
    """What the store and its parts hold already and is written again."""

    @property
    def added_bytes(self) -> int:
        """Bytes of the frames that are still to be stored."""
        return round(self.num_frames * self.frame_bytes)

    @property
    def needed_bytes(self) -> int:
        """Free space needed at the worst moment: parts, and beside them the file they become."""
        return 2 * self.added_bytes + self.num_videos * PART_BYTES + self.held_bytes

    def describe(self) -> str:
        """The estimate in a line."""
        return (
            f"about {counted(self.num_frames, 'frame')} of {_readable(self.frame_bytes)}, "
            f"{_readable(self.added_bytes)} in all; at the end, when parts and store lie side "
            f"by side, {_readable(self.needed_bytes)} of free space are needed, "
            f"{_readable(self.free_bytes)} are free"
        )


def make_clips(request: ClipsRequest) -> dict[str, Any]:
    """Stores the frames and says what was done; see `build_clip_store`.

    Raises:
        ClipStoreError: also if the disk clearly has too little space.
    """
    plan = _plan(request)
    # What is there has to be a clip store, or goes.
    reads = files_of(request.manifest, request.data_root) if request.fresh else ()
    check_output_files([plan.path], reads=reads)
    todo = _todo(plan, fresh=request.fresh)
    if todo:
        estimate = _estimate(todo, plan, fresh=request.fresh)
        logger.info("%s: %s", plan.path, estimate.describe())
        if estimate.needed_bytes > _CERTAINLY * estimate.free_bytes:
            raise ClipStoreError(
                f"{plan.path}: does not fit: {estimate.describe()}; the longest video looked at is "
                f"{estimate.longest[1]!r} with {estimate.longest[0]:,} of these frames by its "
                "header; choose another --out, a smaller --size, --quality or --rate, --frames "
                "labelled, or part of the data set with --limit"
            )
    report = build_clip_store(
        plan.videos,
        plan.path,
        plan.settings,
        ranges=plan.ranges,
        workers=request.workers,
        fresh=request.fresh,
    )
    return {
        "path": str(plan.path),
        "added": report.num_added,
        "present": report.num_present,
        "frames": report.num_frames,
        "bytes": sum(size for size, _ in files_there(plan.path).values()),
        "missing": plan.num_missing,
        "unlabelled": plan.num_unlabelled,
        "failed": [asdict(row) for row in report.failed],
    }


def describe_clips(request: ClipsRequest) -> dict[str, Any]:
    """What `make_clips` would do; writes nothing, and warns of each video that cannot be opened."""
    plan = _plan(request)
    settings = plan.settings
    todo = _todo(plan, fresh=request.fresh)
    lengths = read_headers(todo)
    unreadable = {name: each.problem for name, each in lengths.items() if each.problem}
    for video_id, problem in unreadable.items():
        logger.warning("video %s will fail: %s", video_id, problem)
    if plan.ranges:
        warn_of_times_beyond(plan.segments, lengths)
    estimate = _estimate(todo, plan, fresh=request.fresh)
    return {
        "path": str(plan.path),
        "size": None if settings.short_side else f"{settings.height}x{settings.width}",
        "short_side": settings.short_side,
        "quality": settings.jpeg_quality,
        "rate": settings.rate,
        "frames": "labelled" if plan.ranges else "all",
        "videos": len(plan.videos),
        "to_do": len(todo),
        "missing": plan.num_missing,
        "unlabelled": plan.num_unlabelled,
        "unreadable": list(unreadable),
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
    if request.short_side is not None and request.size is not None:
        raise ConfigError("--size and --short-side: wanted one of them, found both")
    dataset = load_dataset(request.manifest, request.data_root, labels=False)
    require_videos(dataset, request.manifest, request.data_root)
    size = request.size or (dataset.clip_height, dataset.clip_width)
    height, width = size if request.short_side is None else (None, None)
    ranges = _ranges(request, dataset)
    videos = [video for video in dataset.videos if not ranges or video.id in ranges]
    return _Plan(
        path=request.out or Path("clips") / f"{dataset.name}.h5",
        settings=StoreSettings(
            height=height,
            width=width,
            short_side=request.short_side,
            jpeg_quality=request.quality,
            rate=request.rate,
        ),
        videos=tuple(videos[: request.limit]),
        segments=dataset.segments,
        ranges=ranges,
        num_missing=len(dataset.missing),
        num_unlabelled=len(dataset.videos) - len(videos),
    )


def _ranges(request: ClipsRequest, dataset: Dataset) -> dict[str, TimeRanges]:
    """The times that the segments of each video cover; empty for whole videos."""
    labelled: dict[str, list[TimeRange]] = defaultdict(list)
    for segment in dataset.segments:
        times = TimeRange(segment.start_seconds, segment.stop_seconds)
        labelled[segment.video_id].append(times)
    are_timed = any(times != TimeRange() for ranges in labelled.values() for times in ranges)
    if request.frames == "all" or (request.frames is None and not are_timed):
        return {}
    if not labelled:
        raise ConfigError(
            f"--frames labelled: data set {dataset.name!r} has no segments here, its label tables "
            "are missing; use --frames all"
        )
    return {video_id: TimeRanges.of(ranges) for video_id, ranges in labelled.items()}


def _todo(plan: _Plan, *, fresh: bool) -> tuple[Video, ...]:
    if fresh:
        return plan.videos
    return remaining_videos(plan.videos, plan.path, plan.settings, ranges=plan.ranges)


def _estimate(todo: Sequence[Video], plan: _Plan, *, fresh: bool) -> _Estimate:
    """From a few frames, decoded, of a few of the videos that are still to be stored."""
    sizes: list[float] = []
    num_frames: dict[str, float] = {}
    for video in todo[:: max(len(todo) // _SAMPLE_VIDEOS, 1)][:_SAMPLE_VIDEOS]:
        try:
            frames = read_frames(source_of(video), rate=video.rate, stop=_SAMPLE_FRAMES)
            sampled = islice(frames, 0, None, 4)
            sizes += [float(len(encode_frame(each.image, plan.settings))) for each in sampled]
            num_frames[video.id] = _num_frames(video, plan)
        except VideoDecodeError:
            num_frames[video.id] = 0.0
    frame_bytes = statistics.fmean(sizes) if sizes else 0.0
    all_frames = round(statistics.fmean(num_frames.values() or [0.0]) * len(todo))
    held = sum(part.stat().st_size for part in parts_folder(plan.path).glob("*"))
    if fresh:
        held += sum(size for size, _ in files_there(plan.path).values())
    else:
        new_bytes = held + round(all_frames * frame_bytes)
        held += joined_bytes(plan.path, {video.id for video in todo}, new_bytes)
    folder = next(each for each in plan.path.absolute().parents if each.exists())
    free = shutil.disk_usage(folder).free
    return _Estimate(
        num_videos=len(todo),
        num_frames=all_frames,
        longest=max(((round(n), video_id) for video_id, n in num_frames.items()), default=(0, "")),
        frame_bytes=frame_bytes,
        free_bytes=free + held if fresh else free,
        held_bytes=0 if fresh else held,
    )


def _num_frames(video: Video, plan: _Plan) -> float:
    """About how many frames of a video are stored."""
    length = estimate(video.path, rate=video.rate)
    rate = min(length.rate, plan.settings.rate or math.inf)
    by_times = plan.ranges.get(video.id, ALL_TIMES).length(length.seconds) * rate
    return min(by_times, length.frames)  # times may lie, and folders may lack most numbers


def _readable(size: float) -> str:
    """A size with a unit, such as `1.5 GB`; decimal units, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
