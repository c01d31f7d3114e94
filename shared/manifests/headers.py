"""About how many frames each video has, as its header says.

A large data set has so many headers that they are read in several processes, and remembered beside
the plan for the next start of the job.
"""

import json
import logging
import math
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from orn.shared.config.bounded import read_bounded
from orn.shared.data_files import Stamp, stamp_of
from orn.shared.environment import usable_cores
from orn.shared.errors import PipelineError, VideoDecodeError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.progress import progress
from orn.shared.jobs.workers import in_threads, in_workers
from orn.shared.manifests.records import Segment, Video
from orn.shared.manifests.source import source_of
from orn.shared.text import counted
from orn.shared.video.read import FrameEstimate, estimate

logger = logging.getLogger(__name__)

HEADERS_NAME = ".headers.json"
UNREADABLE = FrameEstimate(frames=0, rate=25.0)
"""Length of a video that cannot be opened or is gone: its unit will find out and record it."""

MANY_VIDEOS = 2000
"""From which on several processes are worth their start, and remembering is worth a file."""
_MOST_BYTES = 2**28
_SLACK_SECONDS = 10.0
_AT_ONCE = 250
"""Videos that a process is given at a time."""


def read_headers(
    videos: Sequence[Video], folder: Path | None = None, *, many: int = MANY_VIDEOS
) -> dict[str, FrameEstimate]:
    """Return the length of each video, in their order; 0 frames where the video cannot be opened.

    Headers remembered in `folder`, where the shards go, are not read again.
    """
    is_large = len(videos) >= many
    found: dict[str, FrameEstimate] = {}
    if is_large and folder and (remembered := _remembered(folder)):
        for video, state in zip(videos, in_threads(_state, videos), strict=True):
            match remembered.get(video.id):
                case (frames, rate, *known) if tuple(known) == state:
                    found[video.id] = FrameEstimate(frames=frames, rate=rate)
    left = [video for video in videos if video.id not in found]
    workers = usable_cores() if is_large else 1
    size = min(_AT_ONCE, math.ceil(len(left) / workers)) or 1
    parts = [left[start : start + size] for start in range(0, len(left), size)]
    if parts:
        lost = PipelineError("a process that looked at headers ended abruptly; start again")
        with progress("look at headers", total=len(left), unit="videos") as bar:
            for part, estimates in in_workers(_look, parts, workers=workers, lost=lost):
                found |= zip((video.id for video in part), estimates, strict=True)
                bar.advance(len(part))
    return {video.id: found[video.id] for video in videos}


def remember_headers(
    videos: Sequence[Video],
    estimates: Mapping[str, FrameEstimate],
    folder: Path,
    *,
    many: int = MANY_VIDEOS,
) -> None:
    """Write the lengths of many videos to a file in `folder`, with the state of each video.

    Raises:
        PipelineError: if the disk refuses.
    """
    if len(estimates) < many:
        return
    entries = {
        video.id: (each.frames, each.rate, *state)
        for video, state in zip(videos, in_threads(_state, videos), strict=True)
        if (each := estimates.get(video.id, UNREADABLE)).frames and state
    }
    remembered = _remembered(folder)
    if not entries.items() <= remembered.items():
        write_text(folder / HEADERS_NAME, json.dumps(remembered | entries))


def warn_of_times_beyond(segments: Iterable[Segment], lengths: Mapping[str, FrameEstimate]) -> None:
    """Warn of segments that lie far beyond the end of their video; a little beyond is usual, since
    headers and tables are not exact."""
    beyond = []
    for segment in segments:
        length = lengths.get(segment.video_id)
        end = max(segment.start_seconds or 0.0, segment.stop_seconds or 0.0)
        if length and length.frames and end > 2 * length.seconds + _SLACK_SECONDS:
            beyond.append((segment, end, length.seconds))
    if beyond:
        segment, end, seconds = beyond[0]
        logger.warning(
            "%s far beyond the end of their video, the first is %r: %g s, of video "
            "%r of about %g s; what is there counts",
            *(
                counted(len(beyond), "segment reaches", "segments reach"),
                segment.id,
                end,
                segment.video_id,
                seconds,
            ),
        )


def _look(videos: Sequence[Video]) -> list[FrameEstimate]:
    """Return the lengths of some videos."""
    return list(map(_length, videos))


def _length(video: Video) -> FrameEstimate:
    try:
        return estimate(source_of(video), rate=video.rate)
    except VideoDecodeError as err:
        return replace(UNREADABLE, problem=str(err))


_Remembered = tuple[
    Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0, allow_inf_nan=False)], int, int
]
"""Frames and rate of a video, and size and time of its file."""


def _remembered(folder: Path) -> dict[str, _Remembered]:
    """Return the remembered lengths by video id; none if the file cannot be read."""
    try:
        content = read_bounded(folder / HEADERS_NAME, most_bytes=_MOST_BYTES, error=PipelineError)
        return TypeAdapter(dict[str, _Remembered]).validate_json(content)
    except (PipelineError, ValidationError):
        return {}


def _state(video: Video) -> Stamp | None:
    """Return size and time of a file; None for a folder, whose pictures may change without it."""
    try:
        status = video.path.stat()
    except OSError:
        return None
    return None if stat.S_ISDIR(status.st_mode) else stamp_of(status)
