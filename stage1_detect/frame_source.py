"""The frames of a unit of work, prepared for the detector.

Batches depend on nothing but the unit, so that a job that was killed and resumed gives the same
arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import VideoDecodeError
from shared.manifests.records import Video
from shared.shards.plan import Unit, UnitPart
from shared.video import Frame, content_bytes, content_digest, probe, read_frames

__all__ = ["FrameBatch", "FrameSource", "SourceEvent", "VideoBegins", "VideoEnds", "VideoFails"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoBegins:
    """A video's frames come next; with what a shard records about the video."""

    id: str
    height: int
    width: int
    rate: float
    header_frames: int | None
    source_bytes: int
    source_digest: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFails:
    """The video cannot be decoded; nothing more comes of it, and what came does not count."""

    id: str
    reason: str


SourceEvent = VideoBegins | FrameBatch | VideoEnds | VideoFails


@dataclass(slots=True)
class _OpenVideo:
    """The decoder of the video in work, kept from one unit to the next."""

    id: str
    frames: Iterator[Frame]
    next_index: int
    source_bytes: int
    source_digest: str


class FrameSource:
    """Reads units of a plan one after another; ranges that follow each other in one go."""

    def __init__(
        self,
        videos: Mapping[str, Video],
        *,
        batch: int,
        prepare: Callable[[NDArray[np.uint8]], Any],
    ) -> None:
        """Opens nothing yet.

        Args:
            videos: the videos of the plan by id.
            batch: most frames of a batch; batches end where a video or the unit does.
            prepare: makes the network's input of a frame.
        """
        self._videos = videos
        self._batch = batch
        self._prepare = prepare
        self._open: _OpenVideo | None = None

    def events(self, unit: Unit) -> Iterator[SourceEvent]:
        """What the unit consists of: for each part a beginning, batches, an end or a failure."""
        for part in unit.parts:
            begun = False
            try:
                for event in self._part(self._videos[part.video_id], part):
                    begun = True
                    yield event
            except VideoDecodeError as err:
                self._open = None
                yield VideoFails(id=part.video_id, reason=str(err))
            else:
                if begun:
                    yield VideoEnds()

    def _part(self, video: Video, part: UnitPart) -> Iterator[SourceEvent]:
        opened = self._opened(video, part.start)
        info = probe(video.path, rate=video.rate)
        yield VideoBegins(
            id=video.id,
            height=info.height,
            width=info.width,
            rate=info.rate,
            header_frames=info.header_frames,
            source_bytes=opened.source_bytes,
            source_digest=opened.source_digest,
        )
        batch: list[Frame] = []
        while part.stop is None or opened.next_index < part.stop:
            frame = next(opened.frames, None)
            if frame is None:
                break
            opened.next_index = frame.index + 1
            batch.append(frame)
            if len(batch) == self._batch:
                yield self._prepared(batch)
                batch = []
        if batch:
            yield self._prepared(batch)

    def _opened(self, video: Video, start: int) -> _OpenVideo:
        """The decoder of `video` at frame `start`, the open one where it stands there."""
        kept = self._open
        if kept is None or (kept.id, kept.next_index) != (video.id, start):
            known = kept is not None and kept.id == video.id
            self._open = _OpenVideo(
                id=video.id,
                frames=read_frames(video.path, rate=video.rate, start=start),
                next_index=start,
                source_bytes=kept.source_bytes if kept and known else content_bytes(video.path),
                source_digest=kept.source_digest if kept and known else content_digest(video.path),
            )
        assert self._open is not None
        return self._open

    def _prepared(self, frames: list[Frame]) -> FrameBatch:
        return FrameBatch(
            indices=tuple(frame.index for frame in frames),
            seconds=tuple(frame.seconds for frame in frames),
            prepared=tuple(self._prepare(frame.image) for frame in frames),
        )
