"""Approximate lengths of videos from their headers, read by several threads."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from orn.data_manifests.records import Segment, Video
from orn.shared.errors import VideoDecodeError
from orn.shared.jobs.progress import progress
from orn.shared.jobs.workers import in_threads
from orn.shared.text import counted
from orn.shared.video.read import FrameEstimate, estimate

logger = logging.getLogger(__name__)

_SLACK_SECONDS = 10.0


def read_headers(videos: Sequence[Video]) -> dict[str, FrameEstimate]:
    """Return the length of each video, in order; 0 frames if it cannot be opened.

    Args:
        videos: videos with distinct ids.
    """

    def length_of(video: Video) -> FrameEstimate:
        try:
            length = estimate(video.path, rate=video.rate)
        except VideoDecodeError as err:
            length = FrameEstimate(frames=0, rate=25.0, problem=str(err))
        bar.advance()
        return length

    if not videos:
        return {}
    with progress("read headers", total=len(videos), unit="videos") as bar:
        lengths = in_threads(length_of, videos)
    return {video.id: length for video, length in zip(videos, lengths, strict=True)}


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
