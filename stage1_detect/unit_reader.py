"""The frames of a unit of work, read at the least cost and prepared for the detector.

Batches depend on nothing but the unit, so that a job that was killed and resumed gives the same
arrays. Parts of videos are sought where that is exact, else decoded once, onwards: a file in which
frames cannot be sought is kept open from one part to the next, so that a video that was cut into
many units is not decoded from its beginning for each of them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import DetectorError, VideoDecodeError
from orn.shared.jobs.plan import Unit, UnitPart
from orn.shared.manifests.records import Video
from orn.shared.manifests.source import source_of
from orn.shared.shards.schema import FailedVideo, VideoEntry
from orn.shared.video.read import (
    Frame,
    content_bytes,
    content_digest,
    frame_seconds,
    probe,
    read_frames,
)
from orn.stage1_detect.digests import digest_once

LONG_BYTES = 8 * 2**20
"""Smaller videos are read faster than their digest is looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """Consecutive frames of a part: those of a range of numbers, or of a range of time."""

    first_index: int = 0
    end_index: int | None = None
    start_seconds: float | None = None
    stop_seconds: float | None = None

    def is_reached(self, frame: Frame) -> bool:
        """Whether a frame is not before it."""
        if self.start_seconds is not None:
            return frame.seconds >= self.start_seconds
        return frame.index >= self.first_index

    def is_over(self, frame: Frame) -> bool:
        """Whether a frame is behind it."""
        if self.stop_seconds is not None:
            return frame.seconds >= self.stop_seconds
        return self.end_index is not None and frame.index >= self.end_index

    def by_index(self, seconds_F: NDArray[np.float64]) -> "_Stretch":
        """The same as a range of numbers, by the times of all frames."""
        first, end = self.first_index, self.end_index
        if self.start_seconds is not None:
            first = int(np.searchsorted(seconds_F, self.start_seconds))
        if self.stop_seconds is not None:
            end = int(np.searchsorted(seconds_F, self.stop_seconds))
        return _Stretch(first_index=first, end_index=end)


@dataclass(slots=True)
class _Onwards:
    """The decoder of a video in which frames cannot be sought."""

    video_id: str
    frames: Iterator[Frame]
    waiting: Frame | None = None
    """The next frame, if it has been decoded already."""
    last: Frame | None = None
    """The frame before it."""

    def can_reach(self, stretch: _Stretch) -> bool:
        """Whether all of a stretch is still to come."""
        return self.last is None or not stretch.is_reached(self.last)

    def take(self, stretch: _Stretch) -> Iterator[Frame]:
        """The frames of a stretch; drops what is before it, leaves what is behind it."""
        while True:
            self.waiting = self.waiting or next(self.frames, None)
            frame = self.waiting
            if frame is None or stretch.is_over(frame):
                return
            self.waiting, self.last = None, frame
            if stretch.is_reached(frame):
                yield frame
            if frame.index + 1 == stretch.end_index:
                return


class FrameRanges:
    """Hands out the frames of one part of a plan after another."""

    def __init__(self) -> None:
        """Opens nothing yet."""
        self._kept: _Onwards | None = None

    def frames(self, video: Video, part: UnitPart) -> Iterator[Frame]:
        """The frames of a part, which may be none.

        Raises:
            VideoDecodeError: as `read_frames`.
        """
        if part.is_whole:
            yield from read_frames(video.path, rate=video.rate)
            return
        seconds_F = frame_seconds(video.path, rate=video.rate)
        for stretch in _stretches(part):
            if seconds_F is None:
                yield from self._decoder(video, stretch).take(stretch)
            else:
                places = stretch.by_index(seconds_F)
                yield from read_frames(
                    video.path, rate=video.rate, start=places.first_index, stop=places.end_index
                )

    def close(self) -> None:
        """Forgets the open file, as after an error."""
        self._kept = None

    def _decoder(self, video: Video, stretch: _Stretch) -> _Onwards:
        kept = self._kept
        if kept is None or kept.video_id != video.id or not kept.can_reach(stretch):
            kept = _Onwards(video_id=video.id, frames=read_frames(video.path, rate=video.rate))
            self._kept = kept
        return kept


def _stretches(part: UnitPart) -> list[_Stretch]:
    if not part.ranges:
        return [_Stretch(first_index=part.start, end_index=part.stop)]
    return [
        _Stretch(start_seconds=each.start_seconds, stop_seconds=each.stop_seconds)
        for each in part.ranges
    ]


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


class UnitReader:
    """Reads units of a plan one after another."""

    def __init__(
        self,
        videos: Mapping[str, Video],
        *,
        batch: int,
        prepare: Callable[[NDArray[np.uint8]], Any],
        folder: Path | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            videos: the videos of the plan by id; one that is not among them fails.
            batch: most frames of a batch; batches end where a video or the unit does.
            prepare: makes the network's input of a frame; a DetectorError fails the frame's video.
            folder: where digests of videos are kept that are cut into several units.
        """
        self._videos = videos
        self._batch = batch
        self._prepare = prepare
        self._folder = folder
        self._ranges = FrameRanges()
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
                self._ranges.close()
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
        for frame in self._ranges.frames(video, part):
            batch.append(frame)
            if len(batch) == self._batch:
                yield self._prepared(batch)
                batch = []
        if batch:
            yield self._prepared(batch)

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
