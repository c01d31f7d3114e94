"""Reads one shard, as little of it as is asked for."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ShapeError, ShardFormatError, ShardNotFoundError
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import frame_faults
from orn.shared.shards.record import ShardRecord, shard_record
from orn.shared.shards.schema import DetectorEntry, FailedVideo, VideoEntry
from orn.shared.shards.zarr_zip import ChunkCache, ZarrZip
from orn.shared.text_table import counted
from orn.shared.time_ranges import MOST_SECONDS

_OWN_CACHE_BYTES = 64 * 2**20
MOST_FRAME_DETECTIONS = 10_000
MOST_FRAME_MASK_BYTES = 16 * 2**20
_OF_FRAMES = ("frame_video", "frame_index", "frame_seconds", "frame_offsets")
_OF_DETECTIONS = ("boxes", "scores", "labels", "class_scores", "rle_offsets")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardFrame:
    """One frame of a video, and what was detected in it."""

    video: VideoEntry
    """The video, its `id` among other things."""
    index: int
    """Place in the decoded stream, from 0."""
    seconds: float
    """Presentation time in the video."""
    detections: FrameDetections
    """Boxes, classes, scores and masks, in pixels of the video's grid."""
    class_names: tuple[str, ...]
    """Names of the detector's classes, which labels number."""

    def __repr__(self) -> str:
        place = f"{self.index} of {self.video.id!r} at {self.seconds:.3f} s"
        return f"<ShardFrame {place}: {len(self.detections)} detections>"


class Shard:
    """One shard, a collection of frames: `len(shard)` of them, `for frame in shard`, and
    `shard["video id"]` for those of a video. Its arrays are read when they are needed, and only the
    parts that are.

    Args:
        path: the file.
        cache: keeps what was read; a small one of its own by default.
        record: what is known of it.

    Raises:
        ShardNotFoundError: if there is no such file.
        ShardFormatError: if it is damaged, or not of a format version that this release reads.
    """

    def __init__(
        self, path: Path, cache: ChunkCache | None = None, record: ShardRecord | None = None
    ) -> None:
        self.path = path
        record = record or shard_record(path)
        attributes, layout = record.attributes, record.layout
        self._group = ZarrZip(
            path, ChunkCache(_OWN_CACHE_BYTES) if cache is None else cache, layout
        )
        self.videos: tuple[VideoEntry, ...] = attributes.videos
        """The videos, in the order of their frames."""
        self.failed: tuple[FailedVideo, ...] = attributes.failed
        """The videos of the unit that could not be decoded."""
        self.detector: DetectorEntry = attributes.detector
        """What the detections were made with."""
        self.has_class_scores: bool = attributes.class_scores
        """Whether detections come with the scores of all classes."""
        self.size_bytes: int = record.size_bytes
        """About the memory that it takes, without what was read."""
        self._has_times = False
        self._lengths = {name: array.num_rows for name, array in layout.arrays.items()}
        self.num_frames: int = self._lengths["frame_index"]
        """F, frames of all its videos together."""
        self.num_detections: int = self._lengths["boxes"]
        """N, detections of all its frames together."""
        self.num_mask_bytes: int = self._lengths["rle"]
        """R, bytes of the run lengths of all masks."""

    def __repr__(self) -> str:
        """Return the path and the counts."""
        counts = {
            "videos": len(self.videos),
            "frames": len(self),
            "detections": self.num_detections,
            "failed": len(self.failed),
        }
        found = ", ".join(f"{n} {what}" for what, n in counts.items() if n or what != "failed")
        return f"<Shard {self.path}: {found}>"

    def __len__(self) -> int:
        """Return F, the number of frames of all videos together."""
        return self.num_frames

    def __iter__(self) -> Iterator[ShardFrame]:
        """Read one frame after another; raises as `frames`."""
        return self.frames()

    def __contains__(self, video_id: object) -> bool:
        """Return whether the shard has a video of this id."""
        return any(video.id == video_id for video in self.videos)

    def __getitem__(self, video_id: str) -> list[ShardFrame]:
        """Read all frames of one video, which may be none; raises as `frames`."""
        return list(self.frames(video_id))

    def array(self, name: str) -> NDArray[Any]:
        """A whole array of the format's table (`schema.ARRAYS`); not to be written to.

        Raises:
            ShardFormatError: if the shard has no such array, or it is damaged.
        """
        if name not in self._lengths:
            raise ShardFormatError(f"{self.path}: has no array {name!r}")
        return self._group.rows(name, 0, self._lengths[name])

    def fetch_frames(self) -> None:
        """Reads the arrays about frames at once, which are small and lie side by side.

        Raises:
            ShardFormatError: if one is damaged.
        """
        self._group.fetch((name, 0, self._lengths[name]) for name in _OF_FRAMES)

    def frame_video(self) -> NDArray[np.int32]:
        """(F,) int32, for each frame the place of its video in `videos`."""
        return self.array("frame_video")

    def frame_index(self) -> NDArray[np.int64]:
        """(F,) int64, the frame's place in the decoded stream of its video, from 0."""
        return self.array("frame_index")

    def frame_seconds(self) -> NDArray[np.float64]:
        """Return (F,) float64, the presentation time of each frame, increasing within its video.

        Raises:
            ShardFormatError: also if a time is not finite, or not after the one before.
        """
        seconds_F = self.array("frame_seconds")
        if not self._has_times:
            self._check_times(seconds_F)
            self._has_times = True
        return seconds_F

    def _check_times(self, seconds_F: NDArray[np.float64]) -> None:
        is_time_F = np.abs(seconds_F) <= MOST_SECONDS
        is_first_F = np.diff(self.frame_video(), prepend=-1) != 0
        is_later_F = is_first_F | (seconds_F > np.roll(seconds_F, 1))
        wrong = np.flatnonzero(~(is_time_F & is_later_F))
        if wrong.size:
            row = int(wrong[0])
            found = f"{seconds_F[row]:.10g} s"
            found += "" if is_first_F[row] else f" after {seconds_F[row - 1]:.10g} s"
            raise ShardFormatError(
                f"{self.path}: array 'frame_seconds': row {row}: expected increasing times within "
                f"{MOST_SECONDS:g} s, got {found}; detect or import the video again"
            )

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop) of an array of the format's table; not to be written to.

        Raises:
            ShardFormatError: as `array`, or if there are no such rows.
        """
        if name not in self._lengths:
            raise ShardFormatError(f"{self.path}: has no array {name!r}")
        return self._group.rows(name, start, stop)

    def read_through(self, name: str) -> None:
        """Reads all of an array and keeps none of it but in the cache; raises as `array`."""
        step = self._group.layout.arrays[name].rows_per_chunk
        for start in range(0, self._lengths[name], step):
            self._group.rows(name, start, min(start + step, self._lengths[name]))

    def frame(self, row: int) -> FrameDetections:
        """The detections of the frame in this row of the shard, from 0, of the right shapes.

        Raises:
            ShardFormatError: if there is no such row, or what it holds is damaged.
        """
        if not 0 <= row < self.num_frames:
            raise ShardFormatError(
                f"{self.path}: has {counted(self.num_frames, 'frame')}, asked for row {row}"
            )
        rows = self._group.rows
        number = int(rows("frame_video", row, row + 1)[0])
        if not 0 <= number < len(self.videos):
            raise ShardFormatError(
                f"{self.path}: array 'frame_video': row {row}: wanted one of {len(self.videos)} "
                f"videos, found {number}"
            )
        video = self.videos[number]
        try:
            start, stop = rows("frame_offsets", row, row + 2).tolist()
            if not 0 <= stop - start <= MOST_FRAME_DETECTIONS:
                wanted = f"wanted at most {MOST_FRAME_DETECTIONS:,} detections"
                raise ShapeError(f"{wanted}, found {stop - start:,}")
            borders = rows("rle_offsets", start, stop + 1).tolist()
            first = borders[0]
            if borders != sorted(borders) or borders[-1] - first > MOST_FRAME_MASK_BYTES:
                wanted = f"wanted masks of {MOST_FRAME_MASK_BYTES:,} bytes at most, in their order"
                raise ShapeError(f"{wanted}, found bytes {first:,} to {borders[-1]:,}")
            rle = rows("rle", first, borders[-1]).tobytes()
            return FrameDetections(
                height=video.height,
                width=video.width,
                boxes=rows("boxes", start, stop),
                scores=rows("scores", start, stop),
                labels=rows("labels", start, stop),
                class_scores=rows("class_scores", start, stop) if self.has_class_scores else None,
                masks=tuple([rle[a - first : b - first] for a, b in pairwise(borders)]),
            )
        except ShapeError as err:
            why = str(err).removeprefix("FrameDetections.")
            raise ShardFormatError(f"{self._place(row)}: {why}") from err
        except ShardFormatError as err:
            why = str(err).removeprefix(f"{self.path}: ")
            raise ShardFormatError(f"{self._place(row)}: {why}") from err

    def frames_at(self, rows: Sequence[int]) -> list[FrameDetections]:
        """The detections of the frames in these rows, read in as few calls as can be.

        Raises:
            ShardFormatError: as `frame`.
        """
        self._group.ahead = lambda: self._fetch(rows)
        try:
            return [self.frame(row) for row in rows]
        finally:
            self._group.ahead = None

    def _fetch(self, rows: Sequence[int]) -> None:
        group = self._group
        rows = [row for row in rows if 0 <= row < self.num_frames]
        with suppress(ShardFormatError):  # `frame` tells, and of which
            whole = (("frame_video", 1), ("frame_offsets", 2))
            group.fetch((name, row, row + more) for row in rows for name, more in whole)
            spans = [group.rows("frame_offsets", row, row + 2).tolist() for row in rows]
            spans = [
                (start, stop)
                for start, stop in spans
                if 0 <= start < stop <= min(self.num_detections, start + MOST_FRAME_DETECTIONS)
            ]
            names = [name for name in _OF_DETECTIONS if name in self._lengths]
            group.fetch(
                (name, start, stop + (name == "rle_offsets"))
                for name in names
                for start, stop in spans
            )
            borders = [group.rows("rle_offsets", start, stop + 1)[[0, -1]] for start, stop in spans]
            group.fetch(
                ("rle", start, stop)
                for start, stop in (each.tolist() for each in borders)
                if 0 <= start < stop <= min(self.num_mask_bytes, start + MOST_FRAME_MASK_BYTES)
            )

    def checked_frame(self, row: int) -> FrameDetections:
        """The same, down to every number and mask.

        Raises:
            ShardFormatError: also if it holds what `orn.shared.masks.rules` refuses.
        """
        frame = self.frame(row)
        for fault in frame_faults(frame):
            what = f"{fault.field} of detection {fault.row}"
            raise ShardFormatError(f"{self._place(row)}: {what}: {fault.message}")
        return frame

    def frames(self, video_id: str | None = None) -> Iterator[ShardFrame]:
        """The frames of one video, or of all, in their order; each is read when its turn comes.

        Raises:
            ShardNotFoundError: if the shard does not have the video.
            ShardFormatError: at the first frame that is damaged.
        """
        start, stop = (0, self.num_frames) if video_id is None else self.video_rows(video_id)
        for row in range(start, stop):
            yield self.whole_frame(row, self.frame(row))

    def whole_frame(self, row: int, detections: FrameDetections) -> ShardFrame:
        """The frame in a row, which has these detections, with its video and its time."""
        return ShardFrame(
            video=self.videos[int(self.rows("frame_video", row, row + 1)[0])],
            index=int(self.rows("frame_index", row, row + 1)[0]),
            seconds=float(self.frame_seconds()[row]),
            detections=detections,
            class_names=self.detector.class_names,
        )

    def _place(self, row: int) -> str:
        """Shard, video and frame, for messages."""
        video = self.videos[int(self._group.rows("frame_video", row, row + 1)[0])].id
        try:
            return f"{self.path}: video {video!r} frame {self.frame_index()[row]}"
        except ShardFormatError:
            return f"{self.path}: video {video!r} row {row}"

    def video_rows(self, video_id: str) -> tuple[int, int]:
        """Rows [start, stop) of the frames of one video; equal if it has none.

        Raises:
            ShardNotFoundError: if the shard does not have the video.
            ShardFormatError: if its frames do not lie side by side.
        """
        places = [place for place, video in enumerate(self.videos) if video.id == video_id]
        if not places:
            such_as = f", such as {self.videos[0].id!r}" if self.videos else ""
            raise ShardNotFoundError(
                f"{self.path}: expected the id of one of its {len(self.videos)} videos{such_as}, "
                f"got {video_id!r}"
            )
        self.fetch_frames()
        video_of_frame = self.frame_video()
        start, stop = np.searchsorted(video_of_frame, [places[0], places[0] + 1]).tolist()
        if stop - start != self.videos[places[0]].frames:
            raise ShardFormatError(
                f"{self.path}: video {video_id!r}: wanted its {self.videos[places[0]].frames} "
                f"frames side by side, found {stop - start}"
            )
        return start, stop
