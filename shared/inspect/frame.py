"""What was found in one frame, as text and as JSON."""

from typing import Any

import numpy as np

from orn.shared.errors import ConfigError, ShardNotFoundError
from orn.shared.masks import rle
from orn.shared.masks.rules import background_scores
from orn.shared.nearest import nearest
from orn.shared.report import Report, Table
from orn.shared.shards.schema import VideoEntry
from orn.shared.shards.shard import Shard, ShardFrame
from orn.shared.text import counted

_LEAST_SHOWN_SCORE = 0.01
"""Class scores below it are left out of what is shown."""


def chosen_video(shard: Shard, video_id: str | None) -> VideoEntry:
    """The video of this id; None chooses the only one.

    Raises:
        ConfigError: if there are several and none is named.
        ShardNotFoundError: if the shard lacks it; says what is nearest.
    """
    videos = {video.id: video for video in shard.videos}
    if video_id is None:
        if len(videos) != 1:
            such_as = f", such as {shard.videos[0].id!r}" if videos else ""
            raise ConfigError(
                f"{shard.path} has {len(videos)} videos; choose one with --video{such_as}"
            )
        return shard.videos[0]
    if video_id not in videos:
        hint = f"; the nearest is {nearest(video_id, videos)!r}" if videos else ""
        raise ShardNotFoundError(f"{shard.path}: has no video {video_id!r}{hint}")
    return videos[video_id]


def find_frame(
    shard: Shard, *, video_id: str | None, index: int | None, seconds: float | None = None
) -> ShardFrame:
    """The frame of a video that stands at `index` of its decoded stream, or is nearest to a time.

    Args:
        video_id: may be None if the shard has one video only.
        index: None, where `seconds` is too, for the first frame that the shard has of the video.
        seconds: a time within a frame's length of the video's frames.

    Raises:
        ConfigError: if `video_id` is needed.
        ShardNotFoundError: if the shard lacks the video or the frame; says what it has.
        ShardFormatError: if the frame is damaged, or breaks a rule of `orn.shared.masks.rules`.
    """
    video = chosen_video(shard, video_id)
    start, stop = shard.video_rows(video.id)
    index_f, seconds_f = shard.frame_index()[start:stop], shard.frame_seconds()[start:stop]
    if seconds is not None and len(seconds_f):
        row = int(np.abs(seconds_f - seconds).argmin())
        if not abs(seconds_f[row] - seconds) <= 1 / video.rate:
            raise ShardNotFoundError(
                f"{shard.path}: has no frame of video {video.id!r} at {seconds:g} s; "
                f"the nearest is frame {index_f[row]} at {seconds_f[row]:.3f} s, it has "
                f"{seconds_f[0]:.3f} to {seconds_f[-1]:.3f} s"
            )
        index = int(index_f[row])
    elif index is None and len(index_f):
        index = int(index_f[0])
    rows = np.flatnonzero(index_f == index)
    if not len(rows):
        held = f"{index_f[0]} to {index_f[-1]}" if len(index_f) else "none"
        raise ShardNotFoundError(
            f"{shard.path}: has no frame {index} of video {video.id!r}; it has frames {held}"
        )
    row = int(rows[0])
    return shard.whole_frame(start + row, shard.checked_frame(start + row))


def frame_to_dict(frame: ShardFrame) -> dict[str, Any]:
    """The frame as plain values for JSON; masks as COCO has them, compressed run lengths."""
    found = frame.detections
    return {
        "video": frame.video.id,
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


def as_report(frame: ShardFrame) -> Report:
    """Return the frame for a person, detections in the order of the shard."""
    found = frame.detections
    title = (
        f"{frame.video.id}  frame {frame.index}, {frame.seconds:.3f} s, "
        f"{found.width} x {found.height}: "
    )
    if not len(found):
        return Report(title=f"{title}no detections")
    header = ("", "class", "score", "x1", "y1", "x2", "y2", "mask px", "class scores")
    rows = []
    for row in range(len(found)):
        scores = _class_scores(frame, row)
        listed = "not known"
        if scores is not None:
            best = sorted(scores.items(), key=lambda item: -item[1])[:3]
            listed = ", ".join(f"{name} {score:.2f}" for name, score in best)
        name, score = frame.class_names[found.labels[row]], f"{found.scores[row]:.3f}"
        edges = (f"{edge:.1f}" for edge in found.boxes[row])
        rows.append((str(row), name, score, *edges, str(rle.area(found.masks[row])), listed))
    return Report(
        title=f"{title}{counted(len(found), 'detection')}",
        tables=[Table(header=header, rows=rows)],
    )


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
    shown["background"] = float(background_scores(scores_S[None], frame.score_kind)[0])
    return shown
