"""Writes a shard: collects the detections of one unit and commits them as a whole, or not at
all."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shared.atomic_file import replacing
from shared.detections import FrameDetections
from shared.errors import ShapeError
from shared.shards.schema import ARRAYS, DetectorEntry, FailedVideo, ShardAttributes, VideoEntry
from shared.shards.zarr_zip import write_group

__all__ = ["ShardWriter"]


@dataclass(slots=True, kw_only=True)
class _OpenVideo:
    """The video in work, kept apart until it ends so that a failure takes all of it back."""

    entry: VideoEntry
    indices: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    frames: list[FrameDetections] = field(default_factory=list)


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
        self._done: list[_OpenVideo] = []
        self._failed: list[FailedVideo] = []
        self._open: _OpenVideo | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Writes the file, unless the block raised.

        Raises:
            ShapeError: if a video was begun and neither ended nor failed.
            PipelineError: if the disk refuses.
        """
        if error_type is not None:
            return
        if self._open is not None:
            raise ShapeError(
                f"{self._path}: video {self._open.entry.id!r} was begun and not ended; "
                "nothing was written"
            )
        attributes = ShardAttributes(
            videos=tuple(video.entry for video in self._done),
            failed=tuple(self._failed),
            detector=self._detector,
            class_scores=self._class_scores,
        )
        with replacing(self._path) as temporary:
            write_group(
                temporary,
                arrays=_arrays(self._done, class_scores=self._class_scores),
                axes={name: spec.axes for name, spec in ARRAYS.items()},
                attributes=attributes.to_json(),
            )

    def begin_video(
        self,
        video_id: str,
        *,
        height: int,
        width: int,
        rate: float,
        header_frames: int | None,
        source_bytes: int,
        source_digest: str,
        sample_aspect: str | None = None,
    ) -> None:
        """Starts a video or a range of one; the arguments are those of `VideoEntry`.

        Raises:
            ShapeError: if another video is open, or the shard already has this one.
        """
        if self._open is not None:
            raise ShapeError(
                f"{self._path}: video {video_id!r} begun before {self._open.entry.id!r} ended"
            )
        self._check_new(video_id)
        entry = VideoEntry(
            id=video_id,
            height=height,
            width=width,
            frames=0,
            header_frames=header_frames,
            rate=rate,
            source_bytes=source_bytes,
            source_digest=source_digest,
            sample_aspect=sample_aspect,
        )
        self._open = _OpenVideo(entry=entry)

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
        video.indices.append(frame_index)
        video.seconds.append(seconds)
        video.frames.append(detections)

    def end_video(self) -> None:
        """Ends the open video; it may have no frames.

        Raises:
            ShapeError: if no video is open.
        """
        if self._open is None:
            raise ShapeError(f"{self._path}: a video ended while none is open")
        self._open.entry = replace(self._open.entry, frames=len(self._open.frames))
        self._done.append(self._open)
        self._open = None

    def fail(self, video_id: str, reason: str) -> None:
        """Records that a video could not be read; forgets what was added if it is the open one.

        Raises:
            ShapeError: if the shard already has this video, or another one is open.
        """
        if self._open is not None and self._open.entry.id == video_id:
            self._open = None
        if self._open is not None:
            raise ShapeError(
                f"{self._path}: video {video_id!r} failed while {self._open.entry.id!r} is open"
            )
        self._check_new(video_id)
        self._failed.append(FailedVideo(id=video_id, reason=reason))

    def _check_frame(
        self, video: _OpenVideo, frame_index: int, *, seconds: float, detections: FrameDetections
    ) -> None:
        place = f"{self._path}: video {video.entry.id!r} frame {frame_index}"
        last_index, last_seconds = -1, -np.inf
        if video.indices:
            last_index, last_seconds = video.indices[-1], video.seconds[-1]
        if frame_index <= last_index:
            raise ShapeError(f"{place}: wanted an index above {last_index}")
        if not last_seconds < seconds < np.inf:
            raise ShapeError(f"{place}: wanted a time after {last_seconds} s, found {seconds} s")
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
        known = {video.entry.id for video in self._done} | {video.id for video in self._failed}
        if video_id in known:
            raise ShapeError(f"{self._path}: video {video_id!r} is in the shard already")


def _arrays(videos: list[_OpenVideo], *, class_scores: bool) -> dict[str, NDArray[Any]]:
    """The shard's arrays, as the table of the schema has them."""
    frames = [frame for video in videos for frame in video.frames]
    masks = [mask for frame in frames for mask in frame.masks]
    columns: dict[str, NDArray[Any]] = {
        "frame_video": np.repeat(np.arange(len(videos)), [len(video.frames) for video in videos]),
        "frame_index": np.array([index for video in videos for index in video.indices]),
        "frame_seconds": np.array([seconds for video in videos for seconds in video.seconds]),
        "frame_offsets": _offsets(len(frame) for frame in frames),
        "boxes": _stacked("boxes", (frame.boxes for frame in frames)),
        "scores": _stacked("scores", (frame.scores for frame in frames)),
        "labels": _stacked("labels", (frame.labels for frame in frames)),
        "rle_offsets": _offsets(len(mask) for mask in masks),
        "rle": np.frombuffer(b"".join(masks), dtype=np.uint8),
    }
    if class_scores:
        rows = (frame.class_scores for frame in frames if frame.class_scores is not None)
        columns["class_scores"] = _stacked("class_scores", rows)
    return {
        name: columns[name].astype(ARRAYS[name].dtype, copy=False)
        for name in ARRAYS
        if name in columns
    }


def _offsets(lengths: Iterable[int]) -> NDArray[np.int64]:
    """Borders of consecutive stretches of these lengths: one more than there are lengths."""
    return np.cumsum([0, *lengths], dtype=np.int64)


def _stacked(name: str, rows: Iterable[NDArray[Any]]) -> NDArray[Any]:
    spec = ARRAYS[name]
    return np.concatenate([np.zeros((0, *spec.row), dtype=spec.dtype), *rows])
