"""A video with detections."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.inspection.shard_videos import Pictures, pictures_or_gray
from orn.shared.drawing.draw_frame import DrawnObjects, draw_frame, gray_frame
from orn.shared.drawing.mp4 import write_film
from orn.shared.errors import ConfigError, ShardNotFoundError
from orn.shared.jobs.progress import SILENT, Bar, Reporter
from orn.shared.shards.shard import Shard, ShardFrame
from orn.shared.shards.shard_format import VideoEntry
from orn.shared.text import nearest

logger = logging.getLogger(__name__)


def draw_overlay(
    shard: Shard,
    pictures: Pictures,
    out: Path,
    video_id: str | None,
    reporter: Reporter = SILENT,
    *,
    score_threshold: float,
) -> dict[str, int]:
    """Write a video with its detections as MP4; return the number of `frames`, and of the frames on
    `gray`, without a picture.

    Raises:
        ConfigError: if `video_id` is required.
        ShardNotFoundError: if the shard does not contain the video or none of its frames.
        ShardFormatError: if the shard is damaged.
        PipelineError: if the file cannot be written.
    """
    video, first, last = _chosen_video(shard, video_id)
    seconds_f = shard.frame_seconds()[first:last]
    gray = 0

    def warn(reason: str) -> None:
        logger.warning("video %r: drawing masks on a gray background: %s", video.id, reason)

    def drawn_frames(bar: Bar) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        nonlocal gray
        size: tuple[int, int] | None = None
        shown = pictures_or_gray(pictures, video, seconds_f, warn)
        for row, picture in zip(range(first, last), shown, strict=True):
            frame = shard.whole_frame(row, shard.frame(row))
            drawn = _drawn(frame, picture, score_threshold, size)
            gray += picture is None
            size = drawn.shape[1], drawn.shape[0]
            yield frame.seconds, drawn
            bar.advance()

    with reporter.progress("draw", total=last - first, unit="frames") as bar:
        frames = write_film(out, drawn_frames(bar))
    return {"frames": frames, "gray": gray}


def _chosen_video(shard: Shard, video_id: str | None) -> tuple[VideoEntry, int, int]:
    """Return the video with this id, and the first and last + 1 of its rows; None selects the only
    video.

    Raises:
        ConfigError: if the shard has several videos and no id is given.
        ShardNotFoundError: if the shard does not contain the video or none of its frames.
    """
    videos = {video.id: video for video in shard.videos}
    if video_id is None:
        if len(videos) != 1:
            such_as = f", such as {shard.videos[0].id!r}" if videos else ""
            raise ConfigError(
                f"{shard.path}: expected one video, got {len(videos)}; select one with "
                f"--video{such_as}"
            )
        video_id = shard.videos[0].id
    if video_id not in videos:
        hint = f"; the nearest is {nearest(video_id, videos)!r}" if videos else ""
        raise ShardNotFoundError(f"{shard.path}: no video {video_id!r}{hint}")
    start, stop = shard.video_rows(video_id)
    if start == stop:
        raise ShardNotFoundError(f"{shard.path}: video {video_id!r} has no frames")
    return videos[video_id], start, stop


def _drawn(
    frame: ShardFrame,
    picture: NDArray[np.uint8] | None,
    score_threshold: float,
    size: tuple[int, int] | None,
) -> NDArray[np.uint8]:
    detections = frame.detections
    if picture is None:
        picture = gray_frame(height=detections.height, width=detections.width)
    drawn_HW3, _ = draw_frame(
        picture,
        DrawnObjects.of(detections, score_threshold=score_threshold),
        class_names=frame.class_names,
        caption=f"frame {frame.index}, {frame.seconds:.3f} s",
        size=size,
    )
    return drawn_HW3
