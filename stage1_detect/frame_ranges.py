"""Reads parts of videos at the least cost: sought where that is exact, else decoded once, onwards.

A file in which frames cannot be sought is kept open from one part to the next, so that a video that
was cut into many units is not decoded from its beginning for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.manifests.records import Video
from shared.shards.plan import UnitPart
from shared.video.read import Frame, frame_seconds, read_frames

__all__ = ["FrameRanges"]


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

    def by_index(self, seconds_F: NDArray[np.float64]) -> _Stretch:
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
