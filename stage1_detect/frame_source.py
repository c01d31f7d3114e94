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
from shared.video.read import Frame, content_bytes, content_digest, probe
from stage1_detect.frame_ranges import FrameRanges

__all__ = ["FrameBatch", "FrameSource", "SourceEvent", "VideoBegins", "VideoEnds", "VideoFails"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoBegins:
    """A video's frames come next; with what a shard records about the video."""

    id: str
    height: int
    width: int
    rate: float
    header_frames: int | None
    sample_aspect: str | None
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """What a shard records of a video's file."""

    bytes: int
    digest: str


class FrameSource:
    """Reads units of a plan one after another."""

    def __init__(
        self,
        videos: Mapping[str, Video],
        *,
        batch: int,
        prepare: Callable[[NDArray[np.uint8]], Any],
    ) -> None:
        """Opens nothing yet.

        Args:
            videos: the videos of the plan by id; one that is not among them fails.
            batch: most frames of a batch; batches end where a video or the unit does.
            prepare: makes the network's input of a frame.
        """
        self._videos = videos
        self._batch = batch
        self._prepare = prepare
        self._ranges = FrameRanges()
        self._contents: dict[str, _Content] = {}

    def events(self, unit: Unit) -> Iterator[SourceEvent]:
        """What the unit consists of: for each part a beginning, batches, an end or a failure."""
        for part in unit.parts:
            video = self._videos.get(part.video_id)
            if video is None:
                yield VideoFails(id=part.video_id, reason="there is no file any more")
                continue
            begun = False
            try:
                for event in self._part(video, part):
                    begun = True
                    yield event
            except VideoDecodeError as err:
                self._ranges.close()
                # The file's name alone, as a shard must be the same wherever the videos lie.
                reason = str(err).replace(str(video.path), video.path.name)
                yield VideoFails(id=part.video_id, reason=reason)
            else:
                if begun:
                    yield VideoEnds()

    def _part(self, video: Video, part: UnitPart) -> Iterator[SourceEvent]:
        info = probe(video.path, rate=video.rate)
        content = self._content(video)
        aspect = info.sample_aspect
        yield VideoBegins(
            id=video.id,
            height=info.height,
            width=info.width,
            rate=info.rate,
            header_frames=info.header_frames,
            sample_aspect=f"{aspect.numerator}:{aspect.denominator}" if aspect else None,
            source_bytes=content.bytes,
            source_digest=content.digest,
        )
        batch: list[Frame] = []
        for frame in self._ranges.frames(video, part):
            batch.append(frame)
            if len(batch) == self._batch:
                yield self._prepared(batch)
                batch = []
        if batch:
            yield self._prepared(batch)

    def _content(self, video: Video) -> _Content:
        """Size and digest of a video, of which all is read once."""
        if video.id not in self._contents:
            self._contents[video.id] = _Content(
                bytes=content_bytes(video.path), digest=content_digest(video.path)
            )
        return self._contents[video.id]

    def _prepared(self, frames: list[Frame]) -> FrameBatch:
        return FrameBatch(
            indices=tuple(frame.index for frame in frames),
            seconds=tuple(frame.seconds for frame in frames),
            prepared=tuple(self._prepare(frame.image) for frame in frames),
        )
