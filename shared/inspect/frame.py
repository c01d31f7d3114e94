"""What was found in one frame, as text and as JSON."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.errors import ConfigError, ShardFormatError, ShardNotFoundError
from shared.masks import rle
from shared.masks.detections import FrameDetections
from shared.nearest import nearest
from shared.shards.shard import Shard
from shared.text_table import columns, printable

__all__ = ["ShardFrame", "find_frame", "frame_text", "frame_to_dict"]

_LEAST_SHOWN_SCORE = 0.01
"""Class scores below it are left out of what is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardFrame:
    """One frame of a shard."""

    video_id: str
    index: int
    """Place in the decoded stream of the video, from 0."""
    seconds: float
    detections: FrameDetections
    class_names: tuple[str, ...]


def find_frame(shard: Shard, *, video_id: str | None, index: int | None) -> ShardFrame:
    """The frame of a video that stands at `index` of its decoded stream.

    Args:
        video_id: may be None if the shard has one video only.
        index: None for the first frame that the shard has of the video.

    Raises:
        ConfigError: if `video_id` is needed.
        ShardNotFoundError: if the shard lacks the video or the frame; says what it has.
        ShardFormatError: if the frame is damaged, or breaks a rule of `shared.masks.rules`.
    """
    ids = [video.id for video in shard.videos]
    if video_id is None:
        if len(ids) != 1:
            such_as = f", such as {ids[0]!r}" if ids else ""
            raise ConfigError(
                f"{shard.path} has {len(ids)} videos; choose one with --video{such_as}"
            )
        video_id = ids[0]
    if video_id not in ids:
        hint = f"; the nearest is {nearest(video_id, ids)!r}" if ids else ""
        raise ShardNotFoundError(f"{shard.path}: has no video {video_id!r}{hint}")
    start, stop = shard.video_rows(video_id)
    indices = shard.frame_index()[start:stop]
    if index is None and len(indices):
        index = int(indices[0])
    rows = np.flatnonzero(indices == index)
    if not len(rows):
        held = f"{indices[0]} to {indices[-1]}" if len(indices) else "none"
        raise ShardNotFoundError(
            f"{shard.path}: has no frame {index} of video {video_id!r}; it has frames {held}"
        )
    row = start + int(rows[0])
    seconds = float(shard.frame_seconds()[row])
    if not math.isfinite(seconds):
        raise ShardFormatError(
            f"{shard.path}: video {video_id!r} frame {index}: wanted a time, found {seconds} s"
        )
    return ShardFrame(
        video_id=video_id,
        index=int(indices[rows[0]]),
        seconds=seconds,
        detections=shard.checked_frame(row),
        class_names=shard.detector.class_names,
    )


def frame_to_dict(frame: ShardFrame) -> dict[str, Any]:
    """The frame as plain values for JSON; masks as COCO has them, compressed run lengths."""
    found = frame.detections
    return {
        "video": frame.video_id,
        "frame": frame.index,
        "seconds": frame.seconds,
        "height": found.height,
        "width": found.width,
        "detections": [
            {
                "class": frame.class_names[found.labels[row]],
                "score": float(found.scores[row]),
                "box": [float(edge) for edge in found.boxes[row]],
                "mask_area": rle.area(found.masks[row]),
                "mask": {
                    "size": [found.height, found.width],
                    "counts": found.masks[row].decode("ascii"),
                },
                "class_scores": _class_scores(frame, row),
            }
            for row in range(len(found))
        ],
    }


def frame_text(frame: ShardFrame) -> str:
    """The frame for a person, detections in the order of the shard."""
    found = frame.detections
    title = (
        f"{printable(frame.video_id)}  frame {frame.index}, {frame.seconds:.3f} s, "
        f"{found.width} x {found.height}: "
    )
    if not len(found):
        return title + "no detections"
    rows = [("", "class", "score", "x1", "y1", "x2", "y2", "mask px", "class scores")]
    for row in range(len(found)):
        scores = _class_scores(frame, row)
        listed = "not known"
        if scores is not None:
            best = sorted(scores.items(), key=lambda item: -item[1])[:3]
            listed = ", ".join(f"{name} {score:.2f}" for name, score in best)
        name, score = frame.class_names[found.labels[row]], f"{found.scores[row]:.3f}"
        edges = (f"{edge:.1f}" for edge in found.boxes[row])
        rows.append((str(row), name, score, *edges, str(rle.area(found.masks[row])), listed))
    count = "1 detection" if len(found) == 1 else f"{len(found)} detections"
    return f"{title}{count}\n{columns(rows)}"


def _class_scores(frame: ShardFrame, row: int) -> dict[str, float] | None:
    """Scores of the classes worth showing and of the background; None if they are not known."""
    class_scores_NS = frame.detections.class_scores
    if class_scores_NS is None:
        return None
    scores_S = class_scores_NS[row].astype(np.float64)
    shown = {
        frame.class_names[label]: float(scores_S[label])
        for label in np.flatnonzero(scores_S >= _LEAST_SHOWN_SCORE)
    }
    shown["background"] = max(0.0, 1.0 - float(scores_S.sum()))
    return shown
