"""Read a single shard on demand."""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ShapeError, ShardFormatError, ShardNotFoundError
from orn.shared.jobs.plan import FailedVideo
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import ClassRules, ScoreKind, first_fault
from orn.shared.shards.shard_format import DetectorEntry, LeftOut, VideoEntry
from orn.shared.shards.shard_record import REMEDY, ChunkCache, ShardArrays, ShardRecord, read_record
from orn.shared.text import counted
from orn.shared.time_ranges import MOST_SECONDS

_OWN_CACHE_BYTES = 64 * 2**20
MOST_FRAME_DETECTIONS = 10_000
MOST_FRAME_MASK_BYTES = 16 * 2**20
_OF_FRAMES = ("frame_video", "frame_index", "frame_seconds", "frame_offsets", "rle_offsets")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardFrame:
    """A frame of a video with its detections."""

    video: VideoEntry
    """Entry of the video, with its `id`."""
    index: int
    """Index in the decoded stream, from 0."""
    seconds: float
    """Presentation time in the video."""
    detections: FrameDetections
    """Boxes, classes, scores and masks, in pixels of the video's grid."""
    class_names: tuple[str, ...]
    """Names of the detector's classes, indexed by labels."""
    score_kind: ScoreKind
    """Kind of class scores."""

    def __repr__(self) -> str:
        what = f"{self.index} of {self.video.id!r} at {self.seconds:.3f} s"
        return f"<ShardFrame {what}: {len(self.detections)} detections>"


class Shard:
    """A shard as a collection of frames: `len(shard)`, `for frame in shard`, `shard["video id"]`.

    Arrays are read on access, piece by piece.

    Args:
        path: the file.
        cache: cache of decoded chunks; by default, a small cache for this shard only.
        record: metadata of the shard, if already read.

    Raises:
        ShardNotFoundError: if the file does not exist.
        ShardFormatError: if the file is damaged or its format version is not supported.
    """

    def __init__(
        self, path: Path, cache: ChunkCache | None = None, record: ShardRecord | None = None
    ) -> None:
        self.path = path
        record = record or read_record(path)
        attributes = record.attributes
        cache = ChunkCache(_OWN_CACHE_BYTES) if cache is None else cache
        self.arrays = ShardArrays(record, cache)
        """Row access to the stored arrays."""
        self.videos: tuple[VideoEntry, ...] = attributes.videos
        """The videos, in the order of their frames."""
        self.failed: tuple[FailedVideo, ...] = attributes.failed
        """Videos of the unit that could not be decoded."""
        self.left_out: tuple[LeftOut, ...] = attributes.left_out
        """Objects that were not imported."""
        self.detector: DetectorEntry = attributes.detector
        """Detector that made the detections."""
        self.score_kind: ScoreKind = attributes.score_kind
        """Kind of class scores."""
        self.has_tracks: bool = attributes.has_tracks
        """Whether some objects have a track."""
        self.rules: ClassRules = attributes.rules
        """Rules for labels and scores."""
        self.num_frames: int = self.arrays.num_rows("frame_index")
        """F, the number of frames of all videos."""
        self.num_detections: int = self.arrays.num_rows("boxes")
        """N, the number of detections of all frames."""
        self.num_mask_bytes: int = self.arrays.num_rows("rle")
        """R, the number of bytes of all run lengths."""
        self._borders = [0, *accumulate(video.frames for video in self.videos)]
        self._is_checked = False

    @property
    def has_class_scores(self) -> bool:
        """Whether detections have scores for all classes."""
        return self.score_kind != "label"

    def __repr__(self) -> str:
        """Return the path and the counts."""
        counts = {
            "videos": len(self.videos),
            "frames": len(self),
            "detections": self.num_detections,
            "failed": len(self.failed),
        }
        listed = ", ".join(f"{n} {what}" for what, n in counts.items() if n or what != "failed")
        return f"<Shard {self.path}: {listed}>"

    def __len__(self) -> int:
        """Return F, the number of frames of all videos."""
        return self.num_frames

    def __iter__(self) -> Iterator[ShardFrame]:
        """Yield all frames; raises the same errors as `frames`."""
        return self.frames()

    def __contains__(self, video_id: object) -> bool:
        """Return whether the shard has a video with this id."""
        return any(video.id == video_id for video in self.videos)

    def __getitem__(self, video_id: str) -> list[ShardFrame]:
        """Return all frames of a video, possibly none; raises the same errors as `frames`."""
        return list(self.frames(video_id))

    def array(self, name: str) -> NDArray[Any]:
        """Return a whole array (see `schema.arrays_of`), read-only.

        Raises:
            ShardFormatError: if the shard does not contain the array or is damaged.
        """
        if name not in self.arrays:
            raise ShardFormatError(f"no array {name!r}", where=self.path)
        self.check()
        return self.arrays.rows(name, 0, self.arrays.num_rows(name))

    def frame_video(self) -> NDArray[np.int32]:
        """Return the (F,) int32 index into `videos` of each frame."""
        return self.array("frame_video")

    def frame_index(self) -> NDArray[np.int64]:
        """Return the (F,) int64 index of each frame in the decoded stream of its video."""
        return self.array("frame_index")

    def frame_seconds(self) -> NDArray[np.float64]:
        """Return the (F,) float64 presentation times, increasing within each video."""
        return self.array("frame_seconds")

    def check(self) -> None:
        """Validate the offsets, order and times of all frames, as in the first read of a shard.

        Raises:
            ShardFormatError: if they are inconsistent.
        """
        if self._is_checked:
            return
        video_F, index_F, seconds_F, frame_offsets, rle_offsets = (
            self.arrays.rows(name, 0, self.arrays.num_rows(name)) for name in _OF_FRAMES
        )
        counts = [video.frames for video in self.videos]
        if self._borders[-1] != self.num_frames or not np.array_equal(
            video_F, np.repeat(np.arange(len(counts)), counts)
        ):
            self._refuse("frame_video", f"contiguous frames of each video, {counts}")
        self._check_offsets("frame_offsets", frame_offsets, length=self.num_detections)
        self._check_offsets("rle_offsets", rle_offsets, length=self.num_mask_bytes)
        for name, offsets, most in (
            ("frame_offsets", frame_offsets, MOST_FRAME_DETECTIONS),
            ("rle_offsets", rle_offsets[frame_offsets], MOST_FRAME_MASK_BYTES),
        ):
            if (largest := np.diff(offsets).max(initial=0)) > most:
                self._refuse(name, f"at most {most:,} per frame", f"{largest:,}")
        is_first_F = np.diff(video_F, prepend=-1) != 0
        for name, values_F, least, limit in (
            ("frame_index", index_F, 0.0, 2.0**62),
            ("frame_seconds", seconds_F, -MOST_SECONDS, MOST_SECONDS),
        ):
            rises_F = is_first_F | (values_F > np.roll(values_F, 1))
            wrong_F = ~(rises_F & (values_F >= least) & (values_F <= limit))
            for row in np.flatnonzero(wrong_F).tolist():
                after = "" if is_first_F[row] else f" after {values_F[row - 1]:.10g}"
                expected = f"increasing values from {least:g} to {limit:g}"
                self._refuse(name, expected, f"{values_F[row]:.10g}{after}", row=row)
        self._is_checked = True

    def _check_offsets(self, name: str, offsets: NDArray[np.int64], *, length: int) -> None:
        for row in np.flatnonzero(np.diff(offsets, append=length) < 0).tolist():
            after = offsets[row + 1] if row + 1 < len(offsets) else length
            self._refuse(name, "nondecreasing offsets", f"{after} after {offsets[row]}", row=row)
        if (offsets[0], offsets[-1]) != (0, length):
            self._refuse(name, f"offsets from 0 to {length}", f"{offsets[0]} to {offsets[-1]}")

    def _refuse(
        self, name: str, expected: str, got: str = "others", *, row: int | None = None
    ) -> NoReturn:
        at = "" if row is None else f"row {row}: "
        raise ShardFormatError(
            f"array {name!r}: {at}expected {expected}, got {got}; {REMEDY}", where=self.path
        )

    def frame(self, row: int) -> FrameDetections:
        """Return the detections of a frame by its row in the shard, from 0.

        Raises:
            ShardFormatError: if the row does not exist or the shard is damaged.
        """
        self.check()
        if not 0 <= row < self.num_frames:
            raise ShardFormatError(
                f"row {row} is out of range for {counted(self.num_frames, 'frame')}",
                where=self.path,
            )
        rows, video = self.arrays.rows, self._video_of(row)
        try:
            start, stop = rows("frame_offsets", row, row + 2).tolist()
            borders = rows("rle_offsets", start, stop + 1).tolist()
            first = borders[0]
            rle = rows("rle", first, borders[-1]).tobytes()
            return FrameDetections(
                height=video.height,
                width=video.width,
                boxes=rows("boxes", start, stop),
                scores=rows("scores", start, stop),
                labels=rows("labels", start, stop),
                class_scores=rows("class_scores", start, stop) if self.has_class_scores else None,
                masks=tuple([rle[a - first : b - first] for a, b in pairwise(borders)]),
                tracks=rows("tracks", start, stop) if self.has_tracks else None,
            )
        except (ShapeError, ShardFormatError) as err:
            raise ShardFormatError(f"{self._what(row)}: {err.reason}", where=self.path) from err

    def checked_frame(self, row: int) -> FrameDetections:
        """Return the detections of a frame after validating all numbers and masks.

        Raises:
            ShardFormatError: see `frame`; also if the frame violates `orn.shared.masks.validate`.
        """
        frame = self.frame(row)
        if fault := first_fault(frame, self.rules):
            raise ShardFormatError(f"{self._what(row)}: {fault}", where=self.path)
        return frame

    def frames(self, video_id: str | None = None) -> Iterator[ShardFrame]:
        """Yield the frames of one video, or of all videos, in order.

        Raises:
            ShardNotFoundError: if the shard does not contain the video.
            ShardFormatError: if a frame is damaged.
        """
        start, stop = (0, self.num_frames) if video_id is None else self.video_rows(video_id)
        for row in range(start, stop):
            yield self.whole_frame(row, self.frame(row))

    def whole_frame(self, row: int, detections: FrameDetections) -> ShardFrame:
        """Return the frame in a row, with the given detections, its video and its time."""
        return ShardFrame(
            video=self._video_of(row),
            index=int(self.frame_index()[row]),
            seconds=float(self.frame_seconds()[row]),
            detections=detections,
            class_names=self.detector.class_names,
            score_kind=self.score_kind,
        )

    def _video_of(self, row: int) -> VideoEntry:
        return self.videos[bisect(self._borders, row) - 1]

    def _what(self, row: int) -> str:
        """Return video and frame, for messages."""
        return f"video {self._video_of(row).id!r} frame {self.frame_index()[row]}"

    def video_rows(self, video_id: str) -> tuple[int, int]:
        """Return the range of rows [start, stop) of a video's frames, possibly empty.

        Raises:
            ShardNotFoundError: if the shard does not contain the video.
            ShardFormatError: if the shard is damaged.
        """
        self.check()
        for number, video in enumerate(self.videos):
            if video.id == video_id:
                return self._borders[number], self._borders[number + 1]
        such_as = f", such as {self.videos[0].id!r}" if self.videos else ""
        raise ShardNotFoundError(
            f"expected the id of one of its {len(self.videos)} videos{such_as}, got {video_id!r}",
            where=self.path,
        )
