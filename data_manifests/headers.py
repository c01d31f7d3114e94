"""Approximate lengths of videos from their headers, read by several processes if there are many."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from orn.data_manifests.records import Segment, Video
from orn.shared.environment import usable_cores
from orn.shared.errors import PipelineError, VideoDecodeError
from orn.shared.jobs.progress import progress
from orn.shared.jobs.workers import in_workers
from orn.shared.text import counted
from orn.shared.video.read import FrameEstimate, estimate

logger = logging.getLogger(__name__)

UNREADABLE = FrameEstimate(frames=0, rate=25.0)
"""Length assigned to a video that cannot be opened; the job records the error later."""

MANY_VIDEOS = 2000
"""Minimum number of videos for which several processes are used."""
_SLACK_SECONDS = 10.0
_AT_ONCE = 250
"""Number of videos per task of a process."""


def read_headers(videos: Sequence[Video], *, many: int = MANY_VIDEOS) -> dict[str, FrameEstimate]:
    """Return the length of each video, in order; 0 frames if it cannot be opened.

    Args:
        videos: videos with distinct ids.
        many: minimum number of videos for which several processes are used.
    """
    workers = usable_cores() if len(videos) >= many else 1
    size = min(_AT_ONCE, math.ceil(len(videos) / workers)) or 1
    parts = [videos[start : start + size] for start in range(0, len(videos), size)]
    lengths: dict[str, FrameEstimate] = {}
    if parts:
        lost = PipelineError("a process reading video headers ended abruptly; run again")
        with progress("read headers", total=len(videos), unit="videos") as bar:
            for part, estimates in in_workers(_look, parts, workers=workers, lost=lost):
                lengths |= zip((video.id for video in part), estimates, strict=True)
                bar.advance(len(part))
    return {video.id: lengths[video.id] for video in videos}


def warn_of_times_beyond(segments: Iterable[Segment], lengths: Mapping[str, FrameEstimate]) -> None:
    """Warn about segments that end far beyond their video; small differences are common, because
    headers and tables are inexact."""
    beyond = []
    for segment in segments:
        length = lengths.get(segment.video_id)
        end = max(segment.start_seconds or 0.0, segment.stop_seconds or 0.0)
        if length and length.frames and end > 2 * length.seconds + _SLACK_SECONDS:
            beyond.append((segment, end, length.seconds))
    if beyond:
        segment, end, seconds = beyond[0]
        logger.warning(
            "%s far beyond the end of the video; the first, %r, ends at %g s, but video %r is "
            "about %g s long. The part inside the video is used",
            *(
                counted(len(beyond), "segment ends", "segments end"),
                segment.id,
                end,
                segment.video_id,
                seconds,
            ),
        )


def _look(videos: Sequence[Video]) -> list[FrameEstimate]:
    """Return the lengths of a batch of videos."""
    lengths = []
    for video in videos:
        try:
            lengths.append(estimate(video.path, rate=video.rate))
        except VideoDecodeError as err:
            lengths.append(replace(UNREADABLE, problem=str(err)))
    return lengths
