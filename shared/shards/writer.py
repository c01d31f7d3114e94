"""Writes a shard: collects the detections of one unit, compressed as they come, and commits them as
a whole, or not at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Self, get_args

import numpy as np

from orn.shared.errors import ShapeError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rules import ClassRules, ScoreKind, frame_faults
from orn.shared.shards.column import Column, ColumnMark, write_group
from orn.shared.shards.schema import (
    DetectorEntry,
    FailedVideo,
    LeftOut,
    ShardAttributes,
    VideoEntry,
    arrays_of,
)
from orn.shared.time_ranges import MOST_SECONDS
from orn.shared.video.read import content_bytes, content_digest, probe


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

        with ShardWriter("shards/mine/shard-000000.zarr.zip", "my detector 1.0") as writer:
            writer.add_video("film", "film.mp4", ((0, 0.0, detections), (1, 0.04, others)))

    `add_video` takes a whole video; else `add` takes the frames in order between `begin_video` and
    `end_video`. `fail` records a video that cannot be read and forgets what was added of it. If the
    block raises, nothing is written.

    Args:
        path: the shard's file; one that is there is replaced. In a folder of shards its name is
            `shard-*.zarr.zip`.
        detector: what the detections are made with, or its name, which then stands for weights and
            settings, too: detections that are not comparable have different names.
        score_kind: what the class scores of every frame are, `softmax` or `sigmoid`; `label` where
            only the score of the kept class is known.
        class_names: names of the classes, where the detector is given by its name.
        has_tracks: whether it is known which detections of a video are of one object.
    """

    def __init__(
        self,
        path: str | Path,
        detector: DetectorEntry | str,
        score_kind: ScoreKind = "softmax",
        *,
        class_names: Sequence[str] = COCO_CLASSES,
        has_tracks: bool = False,
    ) -> None:
        self._path, self._has_tracks = Path(path), has_tracks
        if isinstance(detector, str):
            detector = DetectorEntry(
                config_name=detector,
                config_digest="unknown",
                checkpoint_digest="unknown",
                class_names=tuple(class_names),
            )
        if score_kind not in get_args(ScoreKind):
            kinds = ", ".join(get_args(ScoreKind))
            raise ShapeError(f"{path}: expected a score_kind of {kinds}, got {score_kind!r}")
        self._detector = detector
        self.rules = ClassRules(num_classes=len(detector.class_names), score_kind=score_kind)
        """What labels and scores have to be."""
        specs = arrays_of(score_kind, len(detector.class_names), has_tracks=has_tracks)
        self._columns = {name: Column(spec) for name, spec in specs.items()}
        for name in ("frame_offsets", "rle_offsets"):
            self._columns[name].add([0])
        self.videos: list[VideoEntry] = []
        """Those that have ended."""
        self.failed: list[FailedVideo] = []
        """Those that could not be read."""
        self.left_out: list[LeftOut] = []
        """Objects of a source that were not taken."""
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
            score_kind=self.rules.score_kind,
            detector=self._detector,
            videos=tuple(self.videos),
            failed=tuple(self.failed),
            left_out=tuple(self.left_out),
            has_tracks=self._has_tracks,
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

    def add_video(
        self,
        video_id: str,
        source: str | Path,
        frames: Iterable[tuple[int, float, FrameDetections]],
        *,
        rate: float | None = None,
        grid: tuple[int, int] | None = None,
    ) -> None:
        """Add a video with the detections of its frames, each of which is taken when it is needed.

        If it raises, `fail` makes room for the next video.

        Args:
            video_id: its id in the data set's manifest.
            source: the video's file or folder of JPEGs. Its digest is recorded, and training joins
                the detections with frames of the same content only.
            frames: of each frame that was looked at, in order, its place in the decoded stream
                from 0, its time in seconds, and what was found in it.
            rate: frames a second of a folder of JPEGs.
            grid: (height, width) of the pixels that boxes and masks use; that of the video's
                upright frames by default.

        Raises:
            ShapeError: as `begin_video` and `add`, or if detections break a rule of
                `orn.shared.masks.rules`.
            VideoDecodeError: if the source cannot be read.
        """
        path = Path(source)
        info, num_bytes = probe(path, rate=rate), content_bytes(path)
        entry = VideoEntry.of(video_id, info, num_bytes=num_bytes, digest=content_digest(path))
        height, width = grid or (entry.height, entry.width)
        self.begin_video(replace(entry, height=height, width=width))
        for frame in frames:
            match frame:
                case (Integral() as index, Real() as seconds, FrameDetections() as detections):
                    self._check_rules(index, detections)
                    self.add(int(index), float(seconds), detections)
                case _:
                    parts = frame if isinstance(frame, tuple | list) else [frame]
                    raise ShapeError(
                        f"{self._path}: video {video_id!r}: expected (index, seconds, "
                        "FrameDetections) of each frame, got "
                        f"({', '.join(type(part).__name__ for part in parts)})"
                    )
        self.end_video()

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
                given where the shard has none or the other way round, or do not fit the classes.
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
        if detections.tracks is not None:
            columns["tracks"].add(detections.tracks)
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
                self._columns[name].restore(mark)
            self._open = None
        if self._open is not None:
            other = self._open.entry.id
            raise ShapeError(f"{self._path}: video {video_id!r} failed while {other!r} is open")
        self._check_new(video_id)
        self.failed.append(FailedVideo(id=video_id, reason=reason))

    def _check_rules(self, frame_index: Integral, detections: FrameDetections) -> None:
        for fault in frame_faults(detections, self.rules):
            raise ShapeError(
                f"{self._path}: video {self.open_id!r} frame {frame_index}: {fault.field} of "
                f"detection {fault.row}: {fault.message}"
            )

    def _check_frame(
        self, video: _OpenVideo, frame_index: int, *, seconds: float, detections: FrameDetections
    ) -> None:
        place = f"{self._path}: video {video.entry.id!r} frame {frame_index}"
        if frame_index <= video.last_index:
            raise ShapeError(f"{place}: wanted an index above {video.last_index}")
        if not (video.last_seconds < seconds and abs(seconds) <= MOST_SECONDS):
            wanted = f"a time after {video.last_seconds} s"
            raise ShapeError(f"{place}: wanted {wanted}, found {seconds} s")
        grid = (video.entry.height, video.entry.width)
        if (detections.height, detections.width) != grid:
            raise ShapeError(
                f"{place}: wanted detections on a grid of {grid[0]} x {grid[1]}, "
                f"found {detections.height} x {detections.width}; add_video(grid=...) takes another"
            )
        num_classes, score_kind = self.rules.num_classes, self.rules.score_kind
        scores_NC = detections.class_scores
        given = "none" if scores_NC is None else f"scores of {scores_NC.shape[1]} classes"
        wanted = "none" if score_kind == "label" else f"scores of {num_classes} classes"
        if given != wanted:
            raise ShapeError(
                f"{place}: expected class scores: {wanted}, got: {given}; all frames of a shard "
                'have them, or none with ShardWriter(..., score_kind="label")'
            )
        if (detections.tracks is not None) != self._has_tracks:
            raise ShapeError(
                f"{place}: expected tracks of the detections of all frames of a shard or of none, "
                "got both; give ShardWriter(..., has_tracks=True) and tracks, or neither"
            )
        if detections.labels.max(initial=0) >= num_classes:
            raise ShapeError(
                f"{place}: expected labels of {num_classes} classes, got {detections.labels.max()}"
            )

    def _check_new(self, video_id: str) -> None:
        if not isinstance(video_id, str) or not video_id:
            raise ShapeError(f"{self._path}: expected the id of a video as text, got {video_id!r}")
        known = {video.id for video in self.videos} | {video.id for video in self.failed}
        if video_id in known:
            raise ShapeError(f"{self._path}: video {video_id!r} is in the shard already")
