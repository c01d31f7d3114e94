"""Process one unit of work, from videos to a shard, as a pipeline of three threads: decode, detect,
write.

Frames are decoded and preprocessed in one thread (`prefetch`), the network runs in the caller's
thread, and masks are encoded and written in a third (`in_order`). Bounded queues between the
threads limit memory. A GPU is faster than one thread, so there the frames of a batch are
preprocessed and encoded in a pool.

Batches depend on the unit only, so a job that was killed and resumed writes the same arrays.
"""

import os
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.shared.data_files import Stamp
from orn.shared.errors import DetectorError, PipelineError, ShapeError, VideoDecodeError
from orn.shared.jobs.outputs import differences
from orn.shared.jobs.plan import FailedVideo, Unit, UnitPart
from orn.shared.jobs.run_units import Advance, UnitResult
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import ScoreKind
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import DetectorEntry, VideoEntry, shard_path
from orn.shared.shards.writer import ShardWriter
from orn.shared.time_ranges import TimeRanges
from orn.shared.video.frame import Frame, at_rate, indices_at_rate
from orn.shared.video.read import (
    VideoReader,
    content_digest,
    content_stamp,
    probe,
    read_frames,
    seconds_of_frames,
)

T = TypeVar("T")

_QUEUE_SIZE = 3
"""Maximum number of batches between two stages of the pipeline."""

# Threads are reused: malloc keeps an arena per thread, so a new thread per unit would leak memory.
_BACKGROUND = ThreadPoolExecutor(max_workers=1, thread_name_prefix="in-order")
_PREFETCHING = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
_POOL = ThreadPoolExecutor(max_workers=4, thread_name_prefix="frames")
_END = object()
"""Marks the end of an iterator."""


class Detector(Protocol):
    """An object detector. `prepare` and `encode` run in other threads than `infer`."""

    @property
    def entry(self) -> DetectorEntry:
        """Return the detector's entry in a shard."""

    @property
    def score_kind(self) -> ScoreKind:
        """Return the kind of class scores; a detector of kind `label` has no class scores."""

    def prepare(self, image_HWC: NDArray[np.uint8]) -> Any:
        """Return the network's input for one frame, (H, W, 3) uint8 RGB."""

    def infer(self, prepared: Sequence[Any], batch: "FrameBatch", /) -> Sequence[Any]:
        """Run the network on the prepared frames of a batch, which have the same size, and return
        one result per frame."""

    def encode(self, result: Any) -> FrameDetections:
        """Convert the result for a frame to detections in pixels of the frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectWork:
    """The work of a detect job: writes the shard of each unit."""

    load: Callable[[str], Detector]
    """Returns the detector on the named device; must be picklable."""
    entry: DetectorEntry
    """The detector's entry in the shards."""
    videos: Mapping[str, Video]
    """Videos of the plan by id."""
    folder: Path
    """Output folder of the shards."""
    kept: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """Ids of the videos that are copied from an existing shard, by unit."""

    def path(self, unit: Unit) -> Path:
        """Return the path of a unit's shard."""
        return shard_path(self.folder, unit.index)

    def open(self, device: str) -> "UnitDetector":
        """Load the detector in this process.

        Raises:
            DetectorError: if it cannot be loaded, or if the weights or library versions differ from
                those on the machine that started the job.
        """
        detector = self.load(device)
        if detector.entry != self.entry:
            different = differences(
                asdict(detector.entry), asdict(self.entry), words=("there", "here")
            )
            raise DetectorError(
                f"machine {socket.gethostname()}: the detector differs from the job's: "
                f"{'; '.join(different)}; install the same versions on every machine"
            )
        mapped = map if device == "cpu" else _POOL.map
        return UnitDetector(
            detector, videos=self.videos, folder=self.folder, kept=self.kept, mapped=mapped
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameBatch:
    """Consecutive frames of one video."""

    frames: tuple[tuple[int, float], ...]
    """Index in the decoded stream, from 0, and presentation time of each frame."""
    prepared: tuple[Any, ...]
    """Preprocessed frames (the detector's `prepare`)."""
    video: Video
    """The video."""
    is_first: bool
    """Whether these are the first frames of a part of a unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptVideo:
    """A video whose detections are copied from an existing shard."""

    id: str
    shard: Shard


SourceEvent = VideoEntry | FrameBatch | FailedVideo | KeptVideo | None
"""Start of a video, a batch of its frames, its failure, which discards its frames, a whole video of
another shard, or the end of a video."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _OpenVideo:
    """A video that stays open between consecutive parts."""

    id: str
    reader: VideoReader
    sampled: Mapping[int, float] | None
    """Times of the frames that may be used by index; None for every frame."""


@dataclass(slots=True, eq=False)
class UnitDetector:
    """Writes the shards of units with one detector, in any process. A video stays open between
    consecutive parts, so that a video that does not support seeking is not decoded from its start
    for every unit."""

    detector: Detector
    videos: Mapping[str, Video]
    """Videos of the plan by id; planned videos that are missing here fail."""
    folder: Path
    """Output folder of the shards."""
    kept: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """Ids of the videos that are copied from an existing shard, by unit."""
    mapped: Callable[..., Iterable[Any]] = map
    """Calls a function for each frame of a batch, as `map` does."""
    _open: _OpenVideo | None = field(default=None, init=False)

    def __call__(self, unit: Unit, advance: Advance = lambda frames: None) -> UnitResult:
        """Detect objects in the frames of a unit and write its shard. The shard appears only once
        it is complete. `advance` is called after each batch with the number of frames in it.
        """
        num_frames, detector = 0, self.detector
        path = shard_path(self.folder, unit.index)
        with (
            ShardWriter(path, detector.entry, detector.score_kind) as writer,
            in_order(size=_QUEUE_SIZE) as in_background,
            closing(prefetch(self.decoded(unit), size=_QUEUE_SIZE)) as decoded,
        ):
            for event in decoded:
                if not isinstance(event, FrameBatch):
                    in_background(_write_event, writer, event)
                    continue
                results = detector.infer(event.prepared, event)
                in_background(_write_batch, writer, event, self.mapped(detector.encode, results))
                num_frames += len(event.frames)
                advance(len(event.frames))
        return UnitResult(
            unit=unit.index,
            steps=num_frames,
            videos=tuple(video.id for video in writer.videos),
            failed=tuple(writer.failed),
        )

    def decoded(self, unit: Unit) -> Iterator[SourceEvent]:
        """Yield, for each part of the unit, its video's start, batches of frames preprocessed for
        the detector, and end or failure."""
        kept = self.kept.get(unit.index, frozenset())
        before = Shard(shard_path(self.folder, unit.index)) if kept else None
        for part in unit.parts:
            if before is not None and part.video_id in kept:
                yield KeptVideo(id=part.video_id, shard=before)
                continue
            video = self.videos.get(part.video_id)
            if video is None:
                yield FailedVideo(id=part.video_id, reason="the file no longer exists")
                continue
            try:
                info = probe(video.path, rate=video.rate)
                stamp = content_stamp(video.path)  # may change between two units
                digest = _digest(video.path, stamp)
                yield VideoEntry.of(video.id, info, num_bytes=stamp[0], digest=digest)
                frames, is_first = self._frames(video, part), True
                while batch := list(islice(frames, self.detector.entry.batch_size)):
                    images = [frame.image for frame in batch]
                    yield FrameBatch(
                        frames=tuple((frame.index, frame.seconds) for frame in batch),
                        prepared=tuple(self.mapped(self.detector.prepare, images)),
                        video=video,
                        is_first=is_first,
                    )
                    is_first = False
                yield None
            except (VideoDecodeError, DetectorError) as err:
                self._open = None
                reason = reason_below(video.path.parent, err)
                yield FailedVideo(id=part.video_id, reason=reason)

    def _frames(self, video: Video, part: UnitPart) -> Iterator[Frame]:
        rate = self.detector.entry.frame_rate
        if part.is_whole:
            return at_rate(read_frames(video.path, rate=video.rate), rate)
        if self._open is None or self._open.id != video.id:
            reader = VideoReader(video.path, rate=video.rate, kept_bytes=0)
            sampled = _sampled(video, rate) if rate or part.ranges else None
            self._open = _OpenVideo(id=video.id, reader=reader, sampled=sampled)
        reader, sampled = self._open.reader, self._open.sampled
        if sampled is None:
            return reader.frames(part.start, part.stop)
        return reader.frames_at(_of_part(sampled, part))


@lru_cache(maxsize=1)
def _digest(path: Path, stamp: Stamp) -> str:
    """Return the digest of a video, which several units may need."""
    return content_digest(path)


def _sampled(video: Video, rate: float | None) -> Mapping[int, float]:
    """Return the times of all frames, or of those that are sampled at a rate, by index; a video
    whose header has no frame times is decoded."""
    seconds_F = seconds_of_frames(video.path, rate=video.rate)
    places_n = np.arange(len(seconds_F)) if rate is None else indices_at_rate(seconds_F, rate)
    return dict(zip(places_n.tolist(), seconds_F[places_n].tolist(), strict=True))


def _of_part(sampled: Mapping[int, float], part: UnitPart) -> list[int]:
    """Return the indices of the sampled frames in a part."""
    if part.ranges:
        times = TimeRanges(part.ranges)
        return [index for index, seconds in sampled.items() if seconds in times]
    return list(sampled)[part.start : part.stop]


def _write_event(writer: ShardWriter, event: VideoEntry | FailedVideo | KeptVideo | None) -> None:
    """Record the start, failure or end of a video in the shard, or copy it; a failure is recorded
    once."""
    match event:
        case KeptVideo():
            copy_video(writer, event.shard, event.id)
        case VideoEntry():
            writer.begin_video(event)
        case FailedVideo():
            if event.id not in {video.id for video in writer.failed}:
                writer.fail(event.id, event.reason)
        case None:
            if writer.open_id is not None:
                writer.end_video()


def _write_batch(
    writer: ShardWriter, batch: FrameBatch, encoded: Iterable[FrameDetections]
) -> None:
    """Add a batch to the shard unless its video failed; an invalid detection fails the video."""
    if (video_id := writer.open_id) is None:
        return
    try:
        detections_of_frames = list(encoded)
    except DetectorError as err:
        writer.fail(video_id, f"frames from {batch.frames[0][0]}: {err}")
        return

    def frames() -> Iterator[tuple[int, float, FrameDetections]]:
        for (index, seconds), detections in zip(batch.frames, detections_of_frames, strict=True):
            writer.check(index, detections)
            yield index, seconds, detections

    add_frames(writer, frames())


def add_frames(writer: ShardWriter, frames: Iterable[tuple[int, float, FrameDetections]]) -> None:
    """Add frames of the open video to a shard; an invalid time or size fails the video.

    Args:
        writer: writer of the shard.
        frames: index, time in seconds, and detections of each frame.
    """
    try:
        for index, seconds, detections in frames:
            writer.add(index, seconds, detections)
    except ShapeError as err:
        writer.fail(str(writer.open_id), err.reason)


def copy_video(writer: ShardWriter, shard: Shard, video_id: str) -> None:
    """Add a video of another shard of the same job with all frames and objects.

    Raises:
        ShardFormatError: if the other shard is damaged.
    """
    writer.begin_video(next(video for video in shard.videos if video.id == video_id))
    for frame in shard.frames(video_id):
        writer.add(frame.index, frame.seconds, frame.detections)
    writer.end_video()
    writer.left_out += [objects for objects in shard.left_out if objects.id == video_id]


def reason_below(folder: Path, err: PipelineError) -> str:
    """Return the message of an error about a file in a folder, without the folder: the content of a
    shard must not depend on its location."""
    where = (err.where or "").removeprefix(f"{folder}{os.sep}")
    return f"{where}: {err.reason}" if where else err.reason


def prefetch(items: Iterable[T], *, size: int) -> Generator[T]:
    """Yield the items of an iterable that a separate thread reads up to `size` items ahead. An
    error in the iterable is raised in place of its item. The generator must be exhausted or closed.
    """
    left = iter(items)
    waiting: deque[Future[Any]] = deque()
    try:
        while True:
            while len(waiting) <= size:
                waiting.append(_PREFETCHING.submit(next, left, _END))
            item = waiting.popleft().result()
            if item is _END:
                return
            yield item
    finally:
        for call in waiting:
            call.cancel()
        wait(waiting)


@contextmanager
def in_order(*, size: int) -> Iterator[Callable[..., None]]:
    """Return a function that runs calls in a background thread, in order.

    It blocks while `size` calls are pending. The error of the first call that fails is raised by a
    later call, or at the end of the block. If the block raises, pending calls are canceled. All
    calls of a process share one thread.
    """
    calls: deque[Future[None]] = deque()

    def do(function: Callable[..., None], *arguments: Any) -> None:
        calls.append(_BACKGROUND.submit(function, *arguments))
        while len(calls) > size:
            calls.popleft().result()

    try:
        yield do
        while calls:
            calls.popleft().result()
    finally:
        for call in calls:
            call.cancel()
        wait(calls)
