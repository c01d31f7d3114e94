"""One unit of work from videos to a shard: decode, detect, encode and write, beside each other.

Frames are decoded and prepared in one thread (`prefetch`), the network runs in the caller's, and
masks are encoded and collected in a third (`in_order`). The queues between them are bounded, so
memory does not grow with the number of frames that wait.
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

from orn.shared.errors import DetectorError, ShapeError
from orn.shared.jobs.plan import FailedVideo, Unit
from orn.shared.jobs.same_job import differences
from orn.shared.jobs.work import Advance, UnitResult
from orn.shared.manifests.records import Video
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import ScoreKind, first_fault
from orn.shared.shards.files import shard_path
from orn.shared.shards.schema import DetectorEntry, VideoEntry
from orn.shared.shards.writer import ShardWriter
from orn.stage1_detect.unit_reader import FrameBatch, UnitReader, VideoEnds

T = TypeVar("T")

_QUEUE_SIZE = 3
"""Batches that wait between two steps: enough to bridge a slow frame, few enough to stay small."""

# Threads stay, idle, for the next unit: the C library keeps what each thread has freed for that
# thread, so that memory would grow from unit to unit if each had new ones.
_BACKGROUND = ThreadPoolExecutor(max_workers=1, thread_name_prefix="in-order")
_PREFETCHING = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
_END = object()
"""What comes after the last item."""


class Detector(Protocol):
    """Finds objects in frames. `prepare` and `encode` run in other threads than `infer`."""

    @property
    def entry(self) -> DetectorEntry:
        """What a shard records about the detector."""

    @property
    def score_kind(self) -> ScoreKind:
        """What its class scores are; with `label` it gives none."""

    def prepare(self, image_HWC: NDArray[np.uint8]) -> Any:
        """The network's input for one frame, from (H, W, 3) uint8 RGB."""

    def infer(self, prepared: Sequence[Any]) -> Sequence[Any]:
        """What the network says to a batch of prepared frames of equal size, one result a frame."""

    def encode(self, found: Any) -> FrameDetections:
        """One frame's result as detections in pixels of the frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectWork:
    """What a detect job does with its units."""

    load: Callable[[str], Detector]
    """Makes the detector on the device of this name; must survive pickling."""
    entry: DetectorEntry
    """What shards record about it."""
    videos: Mapping[str, Video]
    """The videos of the plan by id."""
    folder: Path
    """Where the shards go."""
    batch: int
    """Most frames that the network sees at once."""

    def path(self, unit: Unit) -> Path:
        """Return the shard of a unit."""
        return shard_path(self.folder, unit.index)

    def open(self, device: str) -> "UnitDetector":
        """Load the detector in this process.

        Raises:
            DetectorError: also if this machine has other weights or libraries than the one on which
                the job began.
        """
        detector = self.load(device)
        if detector.entry != self.entry:
            different = differences(
                asdict(detector.entry), asdict(self.entry), words=("there", "here")
            )
            raise DetectorError(
                f"machine {socket.gethostname()} has another detector: {'; '.join(different)}; "
                "install the same versions on every machine"
            )
        return UnitDetector(detector, videos=self.videos, folder=self.folder, batch=self.batch)


class UnitDetector:
    """A detector that makes the shards of a job's units, one after another, in any process."""

    def __init__(
        self, detector: Detector, *, videos: Mapping[str, Video], folder: Path, batch: int
    ) -> None:
        """Opens nothing yet; the arguments are as `DetectWork` has them."""
        self._detector = detector
        self._folder = folder
        self._reader = UnitReader(
            videos,
            batch=batch,
            prepare=detector.prepare,
            rate=detector.entry.frame_rate,
            folder=folder,
        )

    def __call__(self, unit: Unit, advance: Advance = lambda frames: None) -> UnitResult:
        """Detect the objects of the frames of a unit and write them as one shard.

        The shard appears when the unit is complete; if anything raises, nothing is left behind.
        `advance` is called with the number of frames after each batch.
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
                    in_background(_add, writer, event, found, detector)
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
    """Tells the shard of a video that begins, ends, or fails, which is told once."""
    match event:
        case VideoEntry():
            writer.begin_video(event)
        case FailedVideo():
            if event.id not in {video.id for video in writer.failed}:
                writer.fail(event.id, event.reason)
        case VideoEnds():
            if writer.open_id is not None:
                writer.end_video()


def _add(writer: ShardWriter, batch: FrameBatch, found: Sequence[Any], detector: Detector) -> None:
    """Adds a batch to the shard, unless its video has failed; fails it for what breaks a rule."""
    if (video_id := writer.open_id) is None:
        return
    try:
        frames = [detector.encode(raw) for raw in found]
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
    """Add frames of the open video to a shard; a time or size that cannot be fails the video.

    Args:
        writer: of the shard.
        frames: place, time in seconds, and detections of each.
    """
    try:
        for index, seconds, detections in frames:
            writer.add(index, seconds, detections)
    except ShapeError as err:
        video_id = str(writer.open_id)
        # Without the place of the shard, which must be the same wherever it lies.
        writer.fail(video_id, str(err).rpartition(f"video {video_id!r} ")[2])


def prefetch(items: Iterable[T], *, size: int) -> Generator[T]:
    """Yield the items, made in another thread, at most `size` ahead of the one that is taken.

    An error while making an item is raised here when its turn comes. The generator must be closed,
    as leaving it by an error does, or used up.
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
    """Give a function that has another one called in one other thread, in the order given.

    At most `size` calls wait; it blocks while they do. The error of the first call that fails is
    raised by a later one, or at the end of the block. If the block raises, calls that have not
    begun are dropped. All calls of a process are made in one thread.
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
