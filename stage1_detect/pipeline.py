"""One unit of work from videos to a shard: decode, detect, encode and write, beside each other.

Frames are decoded and prepared in one thread, the network runs in the caller's, and masks are
encoded and collected in a third. The queues between them are bounded, so memory does not grow with
the number of frames that wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.masks.detections import FrameDetections
from shared.shards.plan import Unit
from shared.shards.schema import DetectorEntry, FailedVideo
from shared.shards.writer import ShardWriter
from stage1_detect.overlap import InOrder, prefetch
from stage1_detect.unit_reader import (
    FrameBatch,
    UnitReader,
    VideoBegins,
    VideoEnds,
    VideoFails,
)

__all__ = ["Detector", "UnitResult", "detect_unit"]


class Detector(Protocol):
    """Finds objects in frames. `prepare` and `encode` run in other threads than `infer`."""

    @property
    def entry(self) -> DetectorEntry:
        """What a shard records about the detector."""

    def prepare(self, image_HWC: NDArray[np.uint8]) -> Any:
        """The network's input for one frame, from (H, W, 3) uint8 RGB."""

    def infer(self, prepared: Sequence[Any]) -> Sequence[Any]:
        """What the network says to a batch of prepared frames of equal size, one result a frame."""

    def encode(self, found: Any) -> FrameDetections:
        """One frame's result as detections in pixels of the frame."""


_QUEUE_SIZE = 3
"""Batches that wait between two steps: enough to bridge a slow frame, few enough to stay small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitResult:
    """What became of a unit."""

    frames: int
    """Frames looked at, those of failed videos included."""
    detections: int
    """Detections in the shard."""
    videos: tuple[str, ...]
    """Ids of the videos, or ranges of videos, in the shard."""
    failed: tuple[FailedVideo, ...]
    """Videos that could not be decoded."""


def detect_unit(
    unit: Unit,
    *,
    source: UnitReader,
    detector: Detector,
    path: Path,
    advance: Callable[[int], None] = lambda frames: None,
) -> UnitResult:
    """Detects the objects of every frame of a unit and writes them as one shard.

    The shard appears when the unit is complete; if anything raises, nothing is left behind.

    Args:
        unit: what to do.
        source: where the frames come from.
        detector: what finds the objects.
        path: the shard's file.
        advance: called with the number of frames after each batch.
    """
    tally = _Tally()
    with (
        ShardWriter(path, detector.entry) as writer,
        InOrder(size=_QUEUE_SIZE) as background,
        closing(prefetch(source.events(unit), size=_QUEUE_SIZE)) as events,
    ):
        for event in events:
            match event:
                case VideoBegins():
                    background.do(_begin, writer, tally, event)
                case FrameBatch():
                    found = detector.infer(event.prepared)
                    background.do(_add, writer, tally, event, found, detector)
                    advance(len(event.indices))
                case VideoEnds():
                    background.do(_end, writer, tally)
                case VideoFails():
                    background.do(_fail, writer, tally, event)
    return tally.result()


class _Tally:
    """Counts what the background thread has done."""

    def __init__(self) -> None:
        self.frames = 0
        self.detections = 0
        self.open_id = ""
        self.open_detections = 0
        self.videos: list[str] = []
        self.failed: list[FailedVideo] = []

    def result(self) -> UnitResult:
        """The counts as they stand."""
        return UnitResult(
            frames=self.frames,
            detections=self.detections,
            videos=tuple(self.videos),
            failed=tuple(self.failed),
        )


def _begin(writer: ShardWriter, tally: _Tally, event: VideoBegins) -> None:
    writer.begin_video(
        event.id,
        height=event.height,
        width=event.width,
        rate=event.rate,
        header_frames=event.header_frames,
        sample_aspect=event.sample_aspect,
        source_bytes=event.source_bytes,
        source_digest=event.source_digest,
    )
    tally.open_id, tally.open_detections = event.id, 0


def _add(
    writer: ShardWriter, tally: _Tally, batch: FrameBatch, found: Sequence[Any], detector: Detector
) -> None:
    for index, seconds, raw in zip(batch.indices, batch.seconds, found, strict=True):
        detections = detector.encode(raw)
        writer.add(index, seconds, detections)
        tally.open_detections += len(detections)
    tally.frames += len(batch.indices)


def _end(writer: ShardWriter, tally: _Tally) -> None:
    writer.end_video()
    tally.videos.append(tally.open_id)
    tally.detections += tally.open_detections


def _fail(writer: ShardWriter, tally: _Tally, event: VideoFails) -> None:
    writer.fail(event.id, event.reason)
    tally.failed.append(FailedVideo(id=event.id, reason=event.reason))
