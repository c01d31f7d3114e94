"""Writes a shard: collects the detections of one unit, compressed as they come, and commits them as
a whole, or not at all."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from shared.errors import ShapeError
from shared.jobs.atomic_file import replacing
from shared.masks.detections import FrameDetections
from shared.shards.column import Column, ColumnMark, write_group
from shared.shards.schema import (
    DetectorEntry,
    FailedVideo,
    ShardAttributes,
    VideoEntry,
    arrays_of,
)


@dataclass(slots=True, kw_only=True)
class _OpenVideo:
    """The video in work, and where its rows begin so that a failure takes all of it back."""

    entry: VideoEntry
    begins: dict[str, ColumnMark]
    num_frames: int = 0
    last_index: int = -1
    last_seconds: float = -np.inf


class ShardWriter:
    """Context manager that writes one shard; the file appears when the block ends normally.

    Between `begin_video` and `end_video`, `add` takes the frames in order. `fail` records a video
    that cannot be read and forgets what was added of it. If the block raises, nothing is written.

    Args:
        path: the shard's file; one that is there is replaced.
        detector: what the detections are made with.
        class_scores: whether every frame comes with class scores, or none does.
    """

    def __init__(self, path: Path, detector: DetectorEntry, class_scores: bool = True) -> None:
        self._path = path
        self._detector = detector
        self._class_scores = class_scores
        specs = arrays_of(class_scores=class_scores)
        self._columns = {name: Column(spec) for name, spec in specs.items()}
        for name in ("frame_offsets", "rle_offsets"):
            self._columns[name].add([0])
        self.videos: list[VideoEntry] = []
        """Those that have ended."""
        self.failed: list[FailedVideo] = []
        """Those that could not be read."""
        self._open: _OpenVideo | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        """Writes the file, unless the block raised.

        Raises:
            ShapeError: if a video was begun and neither ended nor failed.
            PipelineError: if the disk refuses.
        """
        if error_type is not None:
            return
        if self._open is not None:
            what = f"video {self._open.entry.id!r} was begun and not ended"
            raise ShapeError(f"{self._path}: {what}; nothing was written")
        attributes = ShardAttributes(
            videos=tuple(self.videos),
            failed=tuple(self.failed),
            detector=self._detector,
            class_scores=self._class_scores,
        )
        with replacing(self._path) as temporary:
            write_group(temporary, columns=self._columns, attributes=attributes.to_json())

    @property
    def open_id(self) -> str | None:
        """Id of the video that was begun last, until it ends or fails."""
        return None if self._open is None else self._open.entry.id

    @property
    def num_detections(self) -> int:
        """Detections so far, without those of videos that failed."""
        return len(self._columns["boxes"])

    def begin_video(self, video: VideoEntry) -> None:
        """Starts a video or a range of one, whose `frames` are counted here.

        Raises:
            ShapeError: if another video is open, or the shard already has this one.
        """
        if self._open is not None:
            other = self._open.entry.id
            raise ShapeError(f"{self._path}: video {video.id!r} begun before {other!r} ended")
        self._check_new(video.id)
        begins = {name: column.mark() for name, column in self._columns.items()}
        self._open = _OpenVideo(entry=video, begins=begins)

    def add(self, frame_index: int, seconds: float, detections: FrameDetections) -> None:
        """Takes the detections of the next frame of the open video; there may be none in it.

        Args:
            frame_index: place of the frame in the decoded stream, from 0, increasing.
            seconds: presentation time, increasing.
            detections: what was found, in pixels of the video's grid.

        Raises:
            ShapeError: if no video is open, the order or the grid is wrong, or class scores are
                given where the shard has none or the other way round.
        """
        video = self._open
        if video is None:
            raise ShapeError(f"{self._path}: frame {frame_index} added while no video is open")
        self._check_frame(video, frame_index, seconds=seconds, detections=detections)
        video.num_frames += 1
        video.last_index, video.last_seconds = frame_index, seconds
        columns = self._columns
        columns["frame_video"].add([len(self.videos)])
        columns["frame_index"].add([frame_index])
        columns["frame_seconds"].add([seconds])
        columns["boxes"].add(detections.boxes)
        columns["scores"].add(detections.scores)
        columns["labels"].add(detections.labels)
        if detections.class_scores is not None:
            columns["class_scores"].add(detections.class_scores)
        columns["frame_offsets"].add([len(columns["boxes"])])
        ends = np.cumsum([len(mask) for mask in detections.masks], dtype=np.int64)
        columns["rle_offsets"].add(len(columns["rle"]) + ends)
        columns["rle"].add(np.frombuffer(b"".join(detections.masks), dtype=np.uint8))

    def end_video(self) -> None:
        """Ends the open video; it may have no frames.

        Raises:
            ShapeError: if no video is open.
        """
        if self._open is None:
            raise ShapeError(f"{self._path}: a video ended while none is open")
        self.videos.append(replace(self._open.entry, frames=self._open.num_frames))
        self._open = None

    def fail(self, video_id: str, reason: str) -> None:
        """Records that a video could not be read; forgets what was added if it is the open one.

        Raises:
            ShapeError: if the shard already has this video, or another one is open.
        """
        if self._open is not None and self._open.entry.id == video_id:
            for name, mark in self._open.begins.items():
                self._columns[name].take_back(mark)
            self._open = None
        if self._open is not None:
            other = self._open.entry.id
            raise ShapeError(f"{self._path}: video {video_id!r} failed while {other!r} is open")
        self._check_new(video_id)
        self.failed.append(FailedVideo(id=video_id, reason=reason))

    def _check_frame(
        self, video: _OpenVideo, frame_index: int, *, seconds: float, detections: FrameDetections
    ) -> None:
        place = f"{self._path}: video {video.entry.id!r} frame {frame_index}"
        if frame_index <= video.last_index:
            raise ShapeError(f"{place}: wanted an index above {video.last_index}")
        if not video.last_seconds < seconds < np.inf:
            wanted = f"a time after {video.last_seconds} s"
            raise ShapeError(f"{place}: wanted {wanted}, found {seconds} s")
        grid = (video.entry.height, video.entry.width)
        if (detections.height, detections.width) != grid:
            raise ShapeError(
                f"{place}: wanted detections on a grid of {grid[0]} x {grid[1]}, "
                f"found {detections.height} x {detections.width}"
            )
        if (detections.class_scores is not None) != self._class_scores:
            wanted, found = ("some", "none") if self._class_scores else ("none", "some")
            raise ShapeError(f"{place}: wanted {wanted} class scores, found {found}")

    def _check_new(self, video_id: str) -> None:
        known = {video.id for video in self.videos} | {video.id for video in self.failed}
        if video_id in known:
            raise ShapeError(f"{self._path}: video {video_id!r} is in the shard already")
