"""Process one unit of work, from videos to a shard, as a pipeline of three threads.

Frames are decoded and preprocessed in one thread (`prefetch`), the network runs in the caller's
thread, and masks are encoded and written in a third (`in_order`). Bounded queues between the
threads limit memory. A GPU is faster than one thread, so there the frames of a batch are
preprocessed and encoded in a pool.
"""

import socket
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.shared.errors import DetectorError, ShapeError
from orn.shared.jobs.plan import FailedVideo, Unit
from orn.shared.jobs.same_job import differences
from orn.shared.jobs.work import Advance, UnitResult
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import ScoreKind, first_fault
from orn.shared.shards.shard_format import DetectorEntry, VideoEntry, shard_path
from orn.shared.shards.writer import ShardWriter
from orn.stage1_detect.unit_reader import FrameBatch, UnitReader, VideoEnds

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

    def infer(self, prepared: Sequence[Any]) -> Sequence[Any]:
        """Run the network on prepared frames of the same size and return one result per frame."""

    def encode(self, found: Any) -> FrameDetections:
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
    batch: int
    """Maximum number of frames per forward pass."""

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
        return UnitDetector(
            detector,
            videos=self.videos,
            folder=self.folder,
            batch=self.batch,
            mapped=map if device == "cpu" else _POOL.map,
        )


class UnitDetector:
    """Writes the shards of units with one detector, in any process."""

    def __init__(
        self,
        detector: Detector,
        *,
        videos: Mapping[str, Video],
        folder: Path,
        batch: int,
        mapped: Callable[..., Iterable[Any]] = map,
    ) -> None:
        """Initialize with the arguments of `DetectWork`; files are opened on the first call.
        `mapped` calls a function for each frame of a batch, as `map` does."""
        self._detector = detector
        self._mapped = mapped
        self._folder = folder
        self._reader = UnitReader(
            videos,
            batch=batch,
            prepare=detector.prepare,
            mapped=mapped,
            rate=detector.entry.frame_rate,
            folder=folder,
        )

    def __call__(self, unit: Unit, advance: Advance = lambda frames: None) -> UnitResult:
        """Detect objects in the frames of a unit and write its shard. The shard appears only once
        it is complete. `advance` is called after each batch with the number of frames in it.
        """
        frames, detector = 0, self._detector
        path = shard_path(self._folder, unit.index)
        with (
            ShardWriter(path, detector.entry, detector.score_kind) as writer,
            in_order(size=_QUEUE_SIZE) as in_background,
            closing(prefetch(self._reader.events(unit), size=_QUEUE_SIZE)) as events,
        ):
            for event in events:
                if isinstance(event, FrameBatch):
                    found = detector.infer(event.prepared)
                    in_background(_add, writer, event, self._mapped(detector.encode, found))
                    frames += len(event.indices)
                    advance(len(event.indices))
                else:
                    in_background(_note, writer, event)
        return UnitResult(
            unit=unit.index,
            steps=frames,
            videos=tuple(video.id for video in writer.videos),
            failed=tuple(writer.failed),
        )


def _note(writer: ShardWriter, event: VideoEntry | VideoEnds | FailedVideo) -> None:
    """Record the start, end or failure of a video in the shard; a failure is recorded once."""
    match event:
        case VideoEntry():
            writer.begin_video(event)
        case FailedVideo():
            if event.id not in {video.id for video in writer.failed}:
                writer.fail(event.id, event.reason)
        case VideoEnds():
            if writer.open_id is not None:
                writer.end_video()


def _add(writer: ShardWriter, batch: FrameBatch, encoded: Iterable[FrameDetections]) -> None:
    """Add a batch to the shard unless its video failed; an invalid detection fails the video."""
    if (video_id := writer.open_id) is None:
        return
    try:
        frames = list(encoded)
    except DetectorError as err:
        writer.fail(video_id, f"frames from {batch.indices[0]}: {err}")
        return
    if (fault := first_fault(frames, writer.rules)) is not None:
        place, what = fault
        where = f"frame {batch.indices[place]}: {what.field} of detection {what.row}"
        writer.fail(video_id, f"{where}: {what.message}")
        return
    add_frames(writer, zip(batch.indices, batch.seconds, frames, strict=True))


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
        video_id = str(writer.open_id)
        # Drop the path: the content of a shard must not depend on its location.
        writer.fail(video_id, str(err).rpartition(f"video {video_id!r} ")[2])


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
