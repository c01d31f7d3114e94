"""Summary of a shard, as text and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orn.shared.errors import ShardFormatError
from orn.shared.jobs.plan import FailedVideo
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import FORMAT_NAME, FORMAT_VERSION, DetectorEntry
from orn.shared.text import counted
from orn.shared.text_report import Report, Table, first_rows
from orn.shared.video.frame import describe_rate

_MOST_SHOWN = 20
"""Maximum number of videos and classes in the text; the JSON output lists all."""
_NEVER_SHOWN = 8
"""Maximum number of classes without detections in the text."""

_VIDEO_HEADER = ("video", "size", "frames", "first", "seconds", "detections", "a frame")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSummary:
    """Summary of one video of a shard."""

    id: str
    height: int
    width: int
    frames: int
    first_frame: int | None
    """Index of its first frame in the decoded stream; None if it has no frames."""
    seconds: tuple[float, float] | None
    """Times of its first and last frame."""
    rate: float
    detections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSummary:
    """Summary of a shard."""

    path: Path
    size_bytes: int
    detector: DetectorEntry
    has_class_scores: bool
    videos: tuple[VideoSummary, ...]
    failed: tuple[FailedVideo, ...]
    frames: int
    frames_without_detections: int
    detections: int
    mean_score: float | None
    """None if there are no detections."""
    classes: dict[str, int]
    """Number of detections of each class, in descending order, without zeros."""
    never: tuple[str, ...]
    """Classes without detections, in the detector's order."""


def summarize(shard: Shard) -> ShardSummary:
    """Return the summary of a shard.

    Raises:
        ShardFormatError: if the shard is damaged.
    """
    index_F, seconds_F = shard.frame_index(), shard.frame_seconds()
    found_F = np.diff(shard.array("frame_offsets"))
    scores, names = shard.array("scores"), shard.detector.class_names
    labels = shard.array("labels")
    if labels.max(initial=0) >= len(names) or not np.isfinite(scores).all():
        raise ShardFormatError(
            f"{shard.path}: expected labels of {len(names)} classes and finite scores, got invalid "
            "values; run `orn verify` to locate them"
        )
    videos = []
    for video in shard.videos:
        start, stop = shard.video_rows(video.id)
        rows = slice(start, stop)
        seconds = seconds_F[rows]
        videos.append(
            VideoSummary(
                id=video.id,
                height=video.height,
                width=video.width,
                frames=stop - start,
                first_frame=int(index_F[start]) if start < stop else None,
                seconds=(float(seconds[0]), float(seconds[-1])) if start < stop else None,
                rate=video.rate,
                detections=int(found_F[rows].sum()),
            )
        )
    counts_S = np.bincount(labels, minlength=len(names)).tolist()
    return ShardSummary(
        path=shard.path,
        size_bytes=shard.path.stat().st_size,
        detector=shard.detector,
        has_class_scores=shard.has_class_scores,
        videos=tuple(videos),
        failed=shard.failed,
        frames=shard.num_frames,
        frames_without_detections=int((found_F == 0).sum()),
        detections=len(scores),
        mean_score=float(scores.mean(dtype=np.float64)) if len(scores) else None,
        classes={
            names[label]: count
            for label, count in sorted(enumerate(counts_S), key=lambda each: -each[1])
            if count
        },
        never=tuple(name for name, count in zip(names, counts_S, strict=False) if not count),
    )


def summary_to_dict(summary: ShardSummary) -> dict[str, Any]:
    """Return the summary as plain values for JSON."""
    values, frames = asdict(summary), summary.frames
    return {
        "shard": str(values.pop("path")),
        "format": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        **values,
        "bytes_per_frame": summary.size_bytes / frames if frames else None,
        "detections_per_frame": summary.detections / frames if frames else None,
    }


def as_report(summary: ShardSummary) -> Report:
    """Return the report of a summary, with long lists truncated."""
    frames = summary.frames
    per_frame = f"{summary.detections / frames:.2f} a frame" if frames else "no frames"
    bytes_per_frame = f"{summary.size_bytes / frames:,.0f} a frame" if frames else "no frames"
    score = "" if summary.mean_score is None else f", mean score {summary.mean_score:.3f}"
    detector = summary.detector
    thresholds = ", ".join(f"{name} {value:g}" for name, value in detector.thresholds.items())
    versions = ", ".join(f"{name} {version}" for name, version in detector.versions.items())
    scores_kept = "of every class" if summary.has_class_scores else "of the predicted class only"
    about = [
        ("shard", str(summary.path)),
        ("format", f"{FORMAT_NAME} version {FORMAT_VERSION}"),
        ("size", f"{summary.size_bytes:,} bytes, {bytes_per_frame}"),
        ("detector", f"{detector.config_name} ({detector.config_digest[:19]})"),
        ("checkpoint", detector.checkpoint_digest[:19]),
        ("thresholds", thresholds or "none"),
        ("frame rate", describe_rate(detector.frame_rate)),
        ("versions", versions or "unknown"),
        ("scores", scores_kept),
        ("videos", f"{len(summary.videos)}, {len(summary.failed)} failed"),
        ("frames", f"{frames:,}, {summary.frames_without_detections:,} without detections"),
        ("detections", f"{summary.detections:,}, {per_frame}{score}"),
    ]
    never = []
    if summary.classes and summary.never:
        some = ", ".join(summary.never[:_NEVER_SHOWN])
        more = ", ..." if len(summary.never) > _NEVER_SHOWN else ""
        words = counted(len(summary.never), "class never occurs", "classes never occur")
        never = [f"{words}: {some}{more}"]
    classes = [(name, f"{count:,}") for name, count in summary.classes.items()]
    sections = [
        _section(_VIDEO_HEADER, [_video_row(video) for video in summary.videos]),
        _section(("class", "detections"), classes),
        _section(("failed", "reason"), [(video.id, video.reason) for video in summary.failed]),
    ]
    return Report(facts=about, tables=sections, notes=never)


def _video_row(video: VideoSummary) -> tuple[str, ...]:
    first, last = video.seconds or (0.0, 0.0)
    return (
        video.id,
        f"{video.width} x {video.height}",
        f"{video.frames:,}",
        "-" if video.first_frame is None else f"{video.first_frame:,}",
        f"{first:.3f} - {last:.3f}",
        f"{video.detections:,}",
        f"{video.detections / video.frames:.2f}" if video.frames else "-",
    )


def _section(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    return first_rows(header, rows, most=_MOST_SHOWN, all_in="--json")
