"""The frames of a unit of work, read at the least cost and prepared for the detector.

Batches depend on nothing but the unit, so that a job that was killed and resumed gives the same
arrays. A file is kept open from one part to the next, so that a video that was cut into many units
is not decoded from its beginning for each of them where frames cannot be sought.

A long video is read once a job for its digest, by whichever process needs it first. Beside the
shards lies a line for each: a digest of what its files are known by (path, size, time of change,
number on the disk), and that of their content. The record is never needed: without it, videos are
read again.
"""

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from orn.shared.config.bounded import open_to_append
from orn.shared.errors import DetectorError, PipelineError, VideoDecodeError
from orn.shared.jobs.plan import FailedVideo, Unit, UnitPart
from orn.shared.manifests.records import Video
from orn.shared.manifests.source import source_of
from orn.shared.shards.schema import VideoEntry
from orn.shared.time_ranges import TimeRanges
from orn.shared.video.frame_selection import at_rate, places_at_rate
from orn.shared.video.read import (
    Frame,
    content_bytes,
    content_digest,
    content_state,
    probe,
    read_frames,
)
from orn.shared.video.reader import VideoReader

logger = logging.getLogger(__name__)

DIGESTS_NAME = ".digests.txt"
_DIGEST_LINE = re.compile(rb"([0-9a-f]{64}) (sha256:[0-9a-f]{64})\n")
_MOST_DIGEST_BYTES = 2**24
LONG_BYTES = 8 * 2**20
"""Smaller videos are read faster than their digest is looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameBatch:
    """Consecutive frames of one video."""

    indices: tuple[int, ...]
    """Places in the decoded stream, from 0."""
    seconds: tuple[float, ...]
    """Presentation times."""
    prepared: tuple[Any, ...]
    """What the detector's `prepare` made of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEnds:
    """The video has no more frames in this unit."""


SourceEvent = VideoEntry | FrameBatch | VideoEnds | FailedVideo
"""A video's frames come next; some of them; there are no more in this unit; it cannot be decoded:
nothing more comes of it, and what came does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenVideo:
    """A video of which parts are read."""

    id: str
    reader: VideoReader
    picked: Mapping[int, float] | None
    """Times of the frames that a rate picks, by their places; None: every frame."""

    @classmethod
    def of(cls, video: Video, rate: float | None) -> Self:
        """Open a video; one whose times only decoding tells is decoded once for a rate."""
        reader = VideoReader(video.path, rate=video.rate, kept_bytes=0)
        if rate is None:
            return cls(id=video.id, reader=reader, picked=None)
        seconds_F = reader.times.seconds
        if seconds_F is None:
            seconds_F = np.array([frame.seconds for frame in reader.frames()])
        places_n = places_at_rate(seconds_F, rate)
        picked = dict(zip(places_n.tolist(), seconds_F[places_n].tolist(), strict=True))
        return cls(id=video.id, reader=reader, picked=picked)


class UnitReader:
    """Reads units of a plan one after another."""

    def __init__(
        self,
        videos: Mapping[str, Video],
        *,
        batch: int,
        prepare: Callable[[NDArray[np.uint8]], Any],
        rate: float | None = None,
        folder: Path | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            videos: the videos of the plan by id; one that is not among them fails.
            batch: most frames of a batch; batches end where a video or the unit does.
            prepare: makes the network's input of a frame; a DetectorError fails the frame's video.
            rate: frames a second that are picked; parts of videos count these. None: every frame.
            folder: where digests of videos are kept that are cut into several units.
        """
        self._videos = videos
        self._batch = batch
        self._prepare = prepare
        self._rate = rate
        self._folder = folder
        self._open: _OpenVideo | None = None
        self._contents: dict[str, tuple[int, str]] = {}

    def events(self, unit: Unit) -> Iterator[SourceEvent]:
        """What the unit consists of: for each part a beginning, batches, an end or a failure."""
        for part in unit.parts:
            video = self._videos.get(part.video_id)
            if video is None:
                yield FailedVideo(id=part.video_id, reason="there is no file any more")
                continue
            try:
                yield from self._part(video, part)
            except (VideoDecodeError, DetectorError) as err:
                self._open = None
                # The file's name alone, as a shard must be the same wherever the videos lie.
                reason = str(err).replace(str(video.path), video.path.name)
                yield FailedVideo(id=part.video_id, reason=reason)
            else:
                yield VideoEnds()

    def _part(self, video: Video, part: UnitPart) -> Iterator[SourceEvent]:
        info = probe(source_of(video), rate=video.rate)
        num_bytes, digest = self._content(video, part)
        yield VideoEntry.of(video.id, info, num_bytes=num_bytes, digest=digest)
        batch: list[Frame] = []
        for frame in self._frames(video, part):
            batch.append(frame)
            if len(batch) == self._batch:
                yield self._prepared(batch)
                batch = []
        if batch:
            yield self._prepared(batch)

    def _frames(self, video: Video, part: UnitPart) -> Iterator[Frame]:
        if part.is_whole:
            return at_rate(read_frames(video.path, rate=video.rate), self._rate)
        if self._open is None or self._open.id != video.id:
            self._open = _OpenVideo.of(video, self._rate)
        reader, picked = self._open.reader, self._open.picked
        if picked is not None:
            return reader.frames_at(_of_part(picked, part))
        if part.ranges:
            return chain.from_iterable(reader.frames_in(times) for times in part.ranges)
        return reader.frames(part.start, part.stop)

    def _content(self, video: Video, part: UnitPart) -> tuple[int, str]:
        """Size and digest of a video; all of a long one is read once."""
        if video.id in self._contents:
            return self._contents[video.id]
        size = content_bytes(video.path)
        if self._folder is None or part.is_whole or size < LONG_BYTES:
            return size, content_digest(video.path)
        self._contents[video.id] = size, digest_once(video.path, self._folder)
        return self._contents[video.id]

    def _prepared(self, frames: list[Frame]) -> FrameBatch:
        return FrameBatch(
            indices=tuple(frame.index for frame in frames),
            seconds=tuple(frame.seconds for frame in frames),
            prepared=tuple(self._prepare(frame.image) for frame in frames),
        )


def _of_part(picked: Mapping[int, float], part: UnitPart) -> list[int]:
    """Return the places of picked frames that are of a part."""
    if part.ranges:
        times = TimeRanges(part.ranges)
        return [place for place, seconds in picked.items() if seconds in times]
    return list(picked)[part.start : part.stop]


def digest_once(video: Path, folder: Path) -> str:
    """Return the `content_digest` of a video; `folder` is where the shards go.

    A process that needs one waits while another reads the same video.

    Raises:
        VideoDecodeError: if it cannot be read.
    """
    state = content_state(video)
    try:
        record = open_to_append(folder / DIGESTS_NAME)
    except PipelineError as err:
        logger.debug("%s: its digest goes unrecorded (%s)", video, err)
        return content_digest(video)
    with record:
        with suppress(OSError):  # a disk without locks
            fcntl.lockf(record, fcntl.LOCK_EX, 1, int(state[:15], 16))
        record.seek(0)
        known = dict(_DIGEST_LINE.findall(record.read(_MOST_DIGEST_BYTES)))
        if found := known.get(state.encode()):
            return found.decode()
        digest = content_digest(video)
        with suppress(OSError):
            os.write(record.fileno(), f"{state} {digest}\n".encode())
        return digest
