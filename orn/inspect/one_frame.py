"""The detections of one frame as text and as JSON."""

from typing import Any

import numpy as np

from orn.shared.errors import ConfigError, ShardNotFoundError
from orn.shared.masks import rle
from orn.shared.masks.rules import background_scores
from orn.shared.shards.shard import Shard, ShardFrame
from orn.shared.shards.shard_format import VideoEntry
from orn.shared.text import counted, nearest
from orn.shared.text_report import Report, Table

_LEAST_SHOWN_SCORE = 0.01
"""Class scores below this value are not listed."""


def chosen_video(shard: Shard, video_id: str | None) -> VideoEntry:
    """Return the video with this id; None selects the only video.

    Raises:
        ConfigError: if the shard has several videos and no id is given.
        ShardNotFoundError: if the shard does not contain the video.
    """
    videos = {video.id: video for video in shard.videos}
    if video_id is None:
        if len(videos) != 1:
            such_as = f", such as {shard.videos[0].id!r}" if videos else ""
            raise ConfigError(
                f"{shard.path}: expected one video, got {len(videos)}; select one with "
                f"--video{such_as}"
            )
        return shard.videos[0]
    if video_id not in videos:
        hint = f"; the nearest is {nearest(video_id, videos)!r}" if videos else ""
        raise ShardNotFoundError(f"{shard.path}: no video {video_id!r}{hint}")
    return videos[video_id]


def find_frame(
    shard: Shard, *, video_id: str | None, index: int | None, seconds: float | None = None
) -> ShardFrame:
    """Return a frame of a video by its index in the decoded stream or by its time.

    Args:
        shard: the shard.
        video_id: id of the video; may be None if the shard has only one video.
        index: index of the frame; the first frame if both `index` and `seconds` are None.
        seconds: time of the frame; the nearest frame within one frame interval is returned.

    Raises:
        ConfigError: if `video_id` is required.
        ShardNotFoundError: if the shard does not contain the video or the frame.
        ShardFormatError: if the frame is damaged or violates `orn.shared.masks.rules`.
    """
    video = chosen_video(shard, video_id)
    start, stop = shard.video_rows(video.id)
    index_f, seconds_f = shard.frame_index()[start:stop], shard.frame_seconds()[start:stop]
    if seconds is not None and len(seconds_f):
        row = int(np.abs(seconds_f - seconds).argmin())
        if not abs(seconds_f[row] - seconds) <= 1 / video.rate:
            raise ShardNotFoundError(
                f"{shard.path}: no frame of video {video.id!r} at {seconds:g} s; "
                f"the nearest is frame {index_f[row]} at {seconds_f[row]:.3f} s; "
                f"the video's frames span {seconds_f[0]:.3f} to {seconds_f[-1]:.3f} s"
            )
        index = int(index_f[row])
    elif index is None and len(index_f):
        index = int(index_f[0])
    rows = np.flatnonzero(index_f == index)
    if not len(rows):
        held = "none"
        if index is not None and len(index_f):
            near = index_f[np.abs(index_f - index).argmin()]
            held = f"{len(index_f):,} from {index_f[0]} to {index_f[-1]}, the nearest {near}"
        raise ShardNotFoundError(
            f"{shard.path}: no frame {index} in video {video.id!r}; its frames: {held}"
        )
    row = int(rows[0])
    return shard.whole_frame(start + row, shard.checked_frame(start + row))


def frame_to_dict(frame: ShardFrame) -> dict[str, Any]:
    """Return a frame as plain values for JSON; masks as COCO compressed run lengths."""
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
    """Return the report of a frame, with detections in the order of the shard."""
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
        listed = "unknown"
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
    """Return the highest class scores and the background score; None if they are unknown."""
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
