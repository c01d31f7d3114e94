"""Read the frames of a unit of work and preprocess them for the detector.

Batches depend on the unit only, so a job that was killed and resumed writes the same arrays. A
video stays open between consecutive parts, so that a video that does not support seeking is not
decoded from its start for every unit.

The digest of a long video is computed once per job, by the first process that needs it, and cached
next to the shards. A line of this cache contains a digest of the path, size, modification time and
inode of the video's files, and the digest of their content. The cache can be deleted at any time.
"""

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.shared.data_files import open_to_append
from orn.shared.errors import DetectorError, PipelineError, VideoDecodeError
from orn.shared.jobs.plan import FailedVideo, Unit, UnitPart
from orn.shared.shards.shard_format import VideoEntry
from orn.shared.time_ranges import TimeRanges
from orn.shared.video.frame import at_rate, places_at_rate
from orn.shared.video.random_access import VideoReader
from orn.shared.video.read import (
    Frame,
    content_bytes,
    content_digest,
    content_state,
    probe,
    read_frames,
)

logger = logging.getLogger(__name__)

DIGESTS_NAME = ".digests.txt"
_DIGEST_LINE = re.compile(rb"([0-9a-f]{64}) (sha256:[0-9a-f]{64})\n")
_MOST_DIGEST_BYTES = 2**24
LONG_BYTES = 8 * 2**20
"""Minimum size of videos with cached digests: reading smaller videos is faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameBatch:
    """Consecutive frames of one video."""

    indices: tuple[int, ...]
    """Indices in the decoded stream, from 0."""
    seconds: tuple[float, ...]
    """Presentation times."""
    prepared: tuple[Any, ...]
    """Preprocessed frames (the detector's `prepare`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEnds:
    """Marks the end of a video's frames in a unit."""


SourceEvent = VideoEntry | FrameBatch | VideoEnds | FailedVideo
"""Start of a video, a batch of its frames, its end, or its failure, which discards its frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenVideo:
    """A video that is read part by part."""

    id: str
    reader: VideoReader
    picked: Mapping[int, float] | None
    """Times of the frames sampled at a frame rate, by index; None for every frame."""

    @classmethod
    def of(cls, video: Video, rate: float | None) -> Self:
        """Open a video; sampling at a rate decodes it once if its header has no frame times."""
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
    """Reads the units of a plan."""

    def __init__(
        self,
        videos: Mapping[str, Video],
        *,
        batch: int,
        prepare: Callable[[NDArray[np.uint8]], Any],
        mapped: Callable[..., Iterable[Any]] = map,
        rate: float | None = None,
        folder: Path | None = None,
    ) -> None:
        """Initialize; files are opened when a unit is read.

        Args:
            videos: videos in the plan by id; planned videos that are missing here fail.
            batch: maximum number of frames per batch; each batch has frames of a single video.
            prepare: preprocesses a frame; a DetectorError fails the video.
            mapped: calls it for each frame of a batch, as `map` does.
            rate: sampling rate, which determines how parts of videos are counted; None: every
                frame.
            folder: folder of the digest cache.
        """
        self._videos = videos
        self._batch = batch
        self._prepare = prepare
        self._mapped = mapped
        self._rate = rate
        self._folder = folder
        self._open: _OpenVideo | None = None
        self._contents: dict[str, tuple[int, str]] = {}

    def events(self, unit: Unit) -> Iterator[SourceEvent]:
        """Yield, for each part of the unit, its video's start, batches, and end or failure."""
        for part in unit.parts:
            video = self._videos.get(part.video_id)
            if video is None:
                yield FailedVideo(id=part.video_id, reason="the file no longer exists")
                continue
            try:
                yield from self._part(video, part)
            except (VideoDecodeError, DetectorError) as err:
                self._open = None
                # Drop the folder: the bytes of a shard must not depend on its location.
                reason = str(err).replace(str(video.path), video.path.name)
                yield FailedVideo(id=part.video_id, reason=reason)
            else:
                yield VideoEnds()

    def _part(self, video: Video, part: UnitPart) -> Iterator[SourceEvent]:
        info = probe(video.path, rate=video.rate)
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
        """Return the size and the digest of a video."""
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
            prepared=tuple(self._mapped(self._prepare, [frame.image for frame in frames])),
        )


def _of_part(picked: Mapping[int, float], part: UnitPart) -> list[int]:
    """Return the indices of the sampled frames in a part."""
    if part.ranges:
        times = TimeRanges(part.ranges)
        return [place for place, seconds in picked.items() if seconds in times]
    return list(picked)[part.start : part.stop]


def digest_once(video: Path, folder: Path) -> str:
    """Return the `content_digest` of a video, using the cache in `folder`.

    A process waits while a different process computes the digest of the same video.
    """
    state = content_state(video)
    try:
        record = open_to_append(folder / DIGESTS_NAME)
    except PipelineError as err:
        logger.debug("%s: the digest is not cached (%s)", video, err)
        return content_digest(video)
    with record:
        with suppress(OSError):  # the file system does not support locks
            fcntl.lockf(record, fcntl.LOCK_EX, 1, int(state[:15], 16))
        record.seek(0)
        known = dict(_DIGEST_LINE.findall(record.read(_MOST_DIGEST_BYTES)))
        if found := known.get(state.encode()):
            return found.decode()
        digest = content_digest(video)
        with suppress(OSError):
            os.write(record.fileno(), f"{state} {digest}\n".encode())
        return digest
