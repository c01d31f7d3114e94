"""A shard as a JSON object and as text."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from orn.shared.errors import ShardFormatError
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import FORMAT_NAME, FORMAT_VERSION
from orn.shared.text_summary import Summary, first_rows
from orn.shared.video.frame import describe_rate

_MOST_SHOWN = 20
"""Maximum number of videos and classes in the text; the JSON output lists all."""


def summarize(shard: Shard) -> dict[str, Any]:
    """Return the summary of a shard as a JSON object.

    Returns:
        Counts of the shard, not counting `failed` videos; for each of its `videos` also
        `first_frame`, the index of its first frame in the decoded stream, and `seconds`, the times
        of its first and last frame (both None without frames); and `classes`, the number of
        detections of each class in descending order, without zeros.

    Raises:
        ShardFormatError: if the shard is damaged.
    """
    offsets, seconds_F = shard.array("frame_offsets"), shard.frame_seconds()
    scores, labels, names = shard.array("scores"), shard.array("labels"), shard.detector.class_names
    if labels.max(initial=0) >= len(names) or not np.isfinite(scores).all():
        raise ShardFormatError(
            where=shard.path,
            expected=f"labels of {len(names)} classes and finite scores",
            got="invalid values",
            remedy="run `orn verify` to locate them",
        )
    videos = []
    for video in shard.videos:
        start, stop = shard.video_rows(video.id)
        some = start < stop
        videos.append(
            {
                "id": video.id,
                "height": video.height,
                "width": video.width,
                "frames": stop - start,
                "first_frame": int(shard.frame_index()[start]) if some else None,
                "seconds": seconds_F[[start, stop - 1]].tolist() if some else None,
                "rate": video.rate,
                "detections": int(offsets[stop] - offsets[start]),
            }
        )
    counts_S = np.bincount(labels, minlength=len(names)).tolist()
    return {
        "shard": str(shard.path),
        "format": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        "size_bytes": shard.path.stat().st_size,
        "detector": asdict(shard.detector),
        "has_class_scores": shard.has_class_scores,
        "videos": videos,
        "failed": [asdict(failed) for failed in shard.failed],
        "frames": shard.num_frames,
        "frames_without_detections": int((np.diff(offsets) == 0).sum()),
        "detections": len(scores),
        "classes": {
            names[label]: count
            for label, count in sorted(enumerate(counts_S), key=lambda item: -item[1])
            if count
        },
    }


def summary_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the facts of a summary in printable form."""
    detector = summary["detector"]
    thresholds = ", ".join(f"{name} {value:g}" for name, value in detector["thresholds"].items())
    versions = ", ".join(f"{name} {version}" for name, version in detector["versions"].items())
    of_which = "every class" if summary["has_class_scores"] else "the predicted class only"
    without = summary["frames_without_detections"]
    return [
        ("shard", summary["shard"]),
        ("format", f"{FORMAT_NAME} version {FORMAT_VERSION}"),
        ("size", f"{summary['size_bytes']:,} bytes"),
        ("detector", f"{detector['config_name']} ({detector['config_digest'][:19]})"),
        ("checkpoint", detector["checkpoint_digest"][:19]),
        ("thresholds", thresholds or "none"),
        ("frame rate", describe_rate(detector["frame_rate"])),
        ("versions", versions or "unknown"),
        ("scores", f"of {of_which}"),
        ("videos", f"{len(summary['videos'])}, {len(summary['failed'])} failed"),
        ("frames", f"{summary['frames']:,}, {without:,} without detections"),
        ("detections", f"{summary['detections']:,}"),
    ]


def as_summary(summary: Mapping[str, Any]) -> Summary:
    """Return the summary of a shard as text, with long lists truncated."""
    header = ("video", "size", "frames", "first", "seconds", "detections")
    tables = (
        (header, [_video_row(video) for video in summary["videos"]]),
        (("class", "detections"), [(name, f"{n:,}") for name, n in summary["classes"].items()]),
        (("failed", "reason"), [tuple(failed.values()) for failed in summary["failed"]]),
    )
    return Summary(
        facts=summary_facts(summary),
        tables=[first_rows(*table, most=_MOST_SHOWN, all_in="--json") for table in tables],
    )


def _video_row(video: Mapping[str, Any]) -> tuple[str, ...]:
    first, last = video["seconds"] or (0.0, 0.0)
    return (
        video["id"],
        f"{video['width']} x {video['height']}",
        f"{video['frames']:,}",
        "-" if video["first_frame"] is None else f"{video['first_frame']:,}",
        f"{first:.3f} - {last:.3f}",
        f"{video['detections']:,}",
    )
