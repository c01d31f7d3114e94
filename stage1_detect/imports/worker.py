"""Write the shards of an import."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from orn.data_manifests.records import Video
from orn.shared.errors import ObjectImportError, VideoDecodeError
from orn.shared.jobs.folder_index import without_garbage_collection
from orn.shared.jobs.plan import Unit
from orn.shared.jobs.run_units import Advance, UnitResult
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.shard_format import (
    UNKNOWN_SOURCE,
    DetectorEntry,
    LeftOut,
    VideoEntry,
    shard_path,
)
from orn.shared.shards.writer import ShardWriter
from orn.shared.text import counted
from orn.shared.video.random_access import seconds_of_frames
from orn.shared.video.read import content_bytes, content_digest, probe
from orn.stage1_detect.detect_unit import add_frames
from orn.stage1_detect.imports.convert import frames_of_records, rows_of_places
from orn.stage1_detect.imports.formats import READERS, RECORDS
from orn.stage1_detect.imports.import_request import ImportRequest
from orn.stage1_detect.imports.object_table import places_of
from orn.stage1_detect.imports.source_objects import GRID, SourceVideo


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportWork:
    """Makes the shard of each unit (`orn.shared.jobs.run_units.Work`)."""

    request: ImportRequest
    entry: DetectorEntry
    """The entry in the shards for the source of the objects."""
    folder: Path
    """Output folder of the shards."""
    table: Path
    """Table of the records, for formats that have some."""
    matched: Mapping[str, SourceVideo]
    """Source video of each matched id."""
    videos: Mapping[str, Video]
    """Listed videos that have a file, by id."""
    rates: Mapping[str, float]
    """Frame rate of the released masks of each video, in Hz."""

    def path(self, unit: Unit) -> Path:
        """Return the path of a unit's shard."""
        return shard_path(self.folder, unit.index)

    def open(self, device: str) -> Self:
        """Return self: an import needs no device."""
        return self

    def __call__(self, unit: Unit, advance: Advance) -> UnitResult:
        """Write the shard of a unit; record videos that cannot be imported as failed."""
        with ShardWriter(self.path(unit), self.entry, "label") as writer:
            for part in unit.parts:
                self._import_video(part.video_id, writer)
                advance(1)
        return UnitResult(
            unit=unit.index,
            steps=len(unit.parts),
            videos=tuple(video.id for video in writer.videos),
            failed=tuple(writer.failed),
            warnings=tuple(
                f"video {each.id}: dropped {counted(each.number, 'object')} ({each.reason}), the "
                f"first at {each.first}"
                for each in writer.left_out
            ),
        )

    def _import_video(self, video_id: str, writer: ShardWriter) -> None:
        """Add a video to the shard, completely or as failed."""
        found, video = self.matched[video_id], self.videos.get(video_id)
        source = self.request.source
        left_out: dict[str, LeftOut] = {}
        try:
            entry = self._entry_of(video_id, found, video)
            writer.begin_video(entry)
            with without_garbage_collection():
                add_frames(writer, self._frames(entry, found, left_out))
        except (ObjectImportError, VideoDecodeError) as err:
            # Drop the folders: the content of a shard must not depend on its location.
            folder = source.parent if found.path == source else source
            reason = str(err).replace(str(found.path), found.path.relative_to(folder).as_posix())
            if video is not None:
                reason = reason.replace(str(video.path), video.path.name)
            writer.fail(video_id, reason)
        if writer.open_id is not None:
            writer.end_video()
            writer.left_out += left_out.values()

    def _entry_of(self, video_id: str, found: SourceVideo, video: Video | None) -> VideoEntry:
        """Return the entry of a video before its frames are counted."""
        size = 0 if video is None else content_bytes(video.path)
        digest = UNKNOWN_SOURCE if video is None else content_digest(video.path)
        if found.file is None or video is None:
            return VideoEntry(
                id=video_id,
                frames=0,
                height=GRID,
                width=GRID,
                rate=self.rates[video_id],
                header_frames=None,
                source_bytes=size,
                source_digest=digest,
            )
        info = probe(video.path, rate=video.rate)
        entry = VideoEntry.of(video_id, info, num_bytes=size, digest=digest)
        height, width = found.grid or (entry.height, entry.width)
        return replace(entry, height=height, width=width)

    def _frames(
        self, entry: VideoEntry, found: SourceVideo, left_out: dict[str, LeftOut]
    ) -> Iterator[tuple[int, float, FrameDetections]]:
        """Yield the index, time and objects of each frame, and count dropped objects."""

        def leave_out(reason: str, first: str, number: int = 1) -> None:
            known = left_out.get(reason) or LeftOut(
                id=entry.id, reason=reason, number=0, first=first
            )
            left_out[reason] = replace(known, number=known.number + number)

        form = self.request.form
        if found.file is None:
            frames = READERS[form](found.path)
            placed = ((int(frame.place), frame.place / entry.rate, frame) for frame in frames)
        else:
            video = self.videos[entry.id]
            places_P, numbers_P = places_of(self.table, found)
            seconds_F = seconds_of_frames(video.path, rate=video.rate)
            rows_P = rows_of_places(
                places_P, seconds_F, by_time=found.by_time, folder_rate=video.rate
            )
            lost_P = np.flatnonzero((rows_P < 0) & (numbers_P > 0))
            if len(lost_P):
                first = f"{found.at(places_P[lost_P[0]])} of {counted(len(seconds_F), 'frame')}"
                leave_out("no frame of the video", first, int(numbers_P[lost_P].sum()))
            frames = frames_of_records(
                self.table,
                found,
                RECORDS[form],
                numbers_P,
                rows_P >= 0,
                grid=(entry.height, entry.width),
                classes=self.entry.class_names,
                groups=self.request.groups,
            )
            rows = rows_P[rows_P >= 0].tolist()
            placed = ((row, seconds_F[row], each) for row, each in zip(rows, frames, strict=True))
        for index, seconds, frame in placed:
            for reason, what in frame.left_out:
                leave_out(reason, f"{found.at(frame.place)}: {what}")
            yield index, float(seconds), frame.detections
