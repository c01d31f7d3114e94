"""Write the shards of an import.

Axes: P distinct frames of a video in the source, F frames of the video.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from heapq import merge
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.shared.errors import ObjectImportError, VideoDecodeError
from orn.shared.jobs.folder_index import without_garbage_collection
from orn.shared.jobs.plan import Unit
from orn.shared.jobs.run_units import Advance, UnitResult
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.shard import MOST_FRAME_DETECTIONS, Shard
from orn.shared.shards.shard_format import (
    UNKNOWN_SOURCE,
    DetectorEntry,
    LeftOut,
    VideoEntry,
    shard_path,
)
from orn.shared.shards.time_join import frame_interval, nearest_frames
from orn.shared.shards.writer import ShardWriter
from orn.shared.text import counted
from orn.shared.video.frame import VideoInfo, indices_at_rate
from orn.shared.video.read import content_bytes, content_digest, probe, seconds_of_frames
from orn.stage1_detect.detect_unit import add_frames, copy_video, reason_below
from orn.stage1_detect.imports.import_config import ImportConfig
from orn.stage1_detect.imports.object_table import objects_of, positions_of
from orn.stage1_detect.imports.source_objects import GRID, SourceFrame, SourceVideo, frame_of
from orn.stage1_detect.imports.source_videos import RECORDS

_ROW = itemgetter(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportWork:
    """Makes the shard of each unit (`orn.shared.jobs.run_units.Work`)."""

    config: ImportConfig
    entry: DetectorEntry
    """The entry in the shards for the source of the objects."""
    folder: Path
    """Output folder of the shards."""
    table: Path
    """Table of the records, for formats that have some."""
    matched: Mapping[str, SourceVideo]
    """Source video of each id that can be imported."""
    videos: Mapping[str, Video]
    """Listed videos that have a file, by id."""
    kept: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """Ids of the videos that are copied from an existing shard, by unit."""
    classes: Collection[str] | None = None
    """Names of the classes whose objects are kept; None for all classes of the entry."""

    def path(self, unit: Unit) -> Path:
        """Return the path of a unit's shard."""
        return shard_path(self.folder, unit.index)

    def open(self, device: str) -> Self:
        """Return self: an import needs no device."""
        return self

    def __call__(self, unit: Unit, advance: Advance) -> UnitResult:
        """Write the shard of a unit; record videos that cannot be imported as failed."""
        with ShardWriter(self.path(unit), self.entry, "label") as writer:
            kept = self.kept.get(unit.index, frozenset())
            before = Shard(self.path(unit)) if kept else None
            for part in unit.parts:
                if before is not None and part.video_id in kept:
                    copy_video(writer, before, part.video_id)
                else:
                    self._import_video(part.video_id, writer)
                advance(1)
        return UnitResult(
            unit=unit.index,
            steps=len(unit.parts),
            videos=tuple(video.id for video in writer.videos),
            failed=tuple(writer.failed),
            warnings=tuple(
                f"video {objects.id}: dropped {counted(objects.number, 'object')} "
                f"({objects.reason}), the first at {objects.first}"
                for objects in writer.left_out
            ),
        )

    def _import_video(self, video_id: str, writer: ShardWriter) -> None:
        """Add a video to the shard, completely or as failed."""
        source, video = self.matched.get(video_id), self.videos.get(video_id)
        if source is None:
            writer.fail(video_id, "the video or its objects no longer exist")
            return
        left_out: dict[str, LeftOut] = {}
        try:
            entry = self._entry_of(video_id, source, video)
            writer.begin_video(entry)
            with without_garbage_collection():
                add_frames(writer, self._frames(entry, source, left_out))
        except (ObjectImportError, VideoDecodeError) as err:
            whole = self.config.source
            folder = whole.parent if source.path == whole else whole
            if video is not None and isinstance(err, VideoDecodeError):
                folder = video.path.parent
            writer.fail(video_id, reason_below(folder, err))
        if writer.open_id is not None:
            writer.end_video()
            writer.left_out += left_out.values()

    def _entry_of(self, video_id: str, source: SourceVideo, video: Video | None) -> VideoEntry:
        """Return the entry of a video before its frames are counted."""
        size = 0 if video is None else content_bytes(video.path)
        digest = UNKNOWN_SOURCE if video is None else content_digest(video.path)
        if source.rate is not None:
            info = VideoInfo(height=GRID, width=GRID, rate=source.rate, header_frames=None)
            return VideoEntry.of(video_id, info, num_bytes=size, digest=digest)
        if video is None:
            raise ObjectImportError("the file of the video no longer exists")
        info = probe(video.path, rate=video.rate)
        entry = VideoEntry.of(video_id, info, num_bytes=size, digest=digest)
        height, width = source.grid or (entry.height, entry.width)
        return replace(entry, height=height, width=width)

    def _frames(
        self, entry: VideoEntry, source: SourceVideo, left_out: dict[str, LeftOut]
    ) -> Iterator[tuple[int, float, FrameDetections]]:
        """Yield the index, time and objects of each frame, and count dropped objects."""

        def leave_out(reason: str, first: str, number: int = 1) -> None:
            objects = LeftOut(id=entry.id, reason=reason, number=0, first=first)
            objects = left_out.get(reason, objects)
            left_out[reason] = replace(objects, number=objects.number + number)

        if source.read is not None:
            frames = source.read(source.path)
            placed = ((int(frame.position), frame.position / entry.rate, frame) for frame in frames)
        else:
            video = self.videos[entry.id]
            positions_P, numbers_P = positions_of(self.table, source)
            seconds_F = seconds_of_frames(video.path, rate=video.rate)
            rows_P = rows_of_places(
                positions_P, seconds_F, by_time=source.by_time, folder_rate=video.rate
            )
            lost_P = np.flatnonzero((rows_P < 0) & (numbers_P > 0))
            if len(lost_P):
                first = f"{source.at(positions_P[lost_P[0]])} of {counted(len(seconds_F), 'frame')}"
                leave_out("no frame of the video", first, int(numbers_P[lost_P].sum()))
            grid = (entry.height, entry.width)
            frames = self.frames_in_table(source, grid, selected_P=rows_P >= 0)
            rows = rows_P[rows_P >= 0].tolist()
            placed = ((row, seconds_F[row], frame) for row, frame in zip(rows, frames, strict=True))
            if RECORDS[self.config.form].omits_empty:
                placed = merge(placed, self._without_objects(rows, seconds_F, grid), key=_ROW)
        for index, seconds, frame in placed:
            for reason, what in frame.left_out:
                leave_out(reason, f"{source.at(frame.position)}: {what}")
            yield index, float(seconds), frame.detections

    def _without_objects(
        self, rows: list[int], seconds_F: NDArray[np.float64], grid: tuple[int, int]
    ) -> Iterator[tuple[int, float, SourceFrame]]:
        """Yield the frames of a video, or those at the rate of the source, that are not in rows."""
        rate = self.config.rate
        every = range(len(seconds_F)) if rate is None else indices_at_rate(seconds_F, rate)
        for row in sorted({*map(int, every)} - {*rows}):
            empty = frame_of("", row, (), grid=grid, labels={})
            yield row, seconds_F[row], empty

    def frames_in_table(
        self, source: SourceVideo, grid: tuple[int, int], *, selected_P: NDArray[np.bool_]
    ) -> Iterator[SourceFrame]:
        """Yield the selected frames of a video whose objects are in the table.

        Args:
            source: the video.
            grid: (height, width) of the frames.
            selected_P: mask of the frames to read.

        Raises:
            ObjectImportError: for the first invalid object.
        """
        every, classes = self.entry.class_names, self.classes
        labels = {name: label for label, name in enumerate(every) if name in (classes or every)}
        frames = zip(objects_of(self.table, source), selected_P.tolist(), strict=True)
        for (position, objects), is_selected in frames:
            if is_selected:
                what = f"{source.path}: {source.at(position)}"
                kept, groups = (
                    [*islice(objects, MOST_FRAME_DETECTIONS + 1)],
                    self.config.options.groups,
                )
                yield frame_of(what, position, kept, grid=grid, labels=labels, groups=groups)


def rows_of_places(
    positions_P: NDArray[np.float64],
    seconds_F: NDArray[np.float64],
    *,
    by_time: bool,
    folder_rate: float | None,
) -> NDArray[np.int64]:
    """Return the (P,) frame index of each distinct number or time of a video, or -1.

    A time matches the nearest frame within half a frame interval. If several times match the same
    frame, only the nearest is kept.

    Args:
        positions_P: increasing numbers or times of frames.
        seconds_F: times of the video's frames.
        by_time: whether `positions_P` are times.
        folder_rate: frame rate of a folder of JPEGs, in which numbers may be missing; None for a
            video file.
    """
    if by_time:
        interval = frame_interval(seconds_F, otherwise=1.0)
    elif folder_rate is not None:
        interval = 1 / folder_rate
        positions_P = positions_P * interval
    else:
        return np.where(
            (positions_P >= 0) & (positions_P < len(seconds_F)), positions_P, -1
        ).astype(int)
    near = nearest_frames(seconds_F, positions_P, interval=interval)
    order_P = np.lexsort((near.gaps_n, near.rows_n))
    _, firsts = np.unique(near.rows_n[order_P], return_index=True)
    is_nearest_P = np.zeros(len(positions_P), np.bool_)
    is_nearest_P[order_P[firsts]] = True
    return np.where(near.is_near_n & is_nearest_P, near.rows_n, -1)
