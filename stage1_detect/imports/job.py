"""Plan and run an import of objects from other sources into shards."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from orn.shared.config.bounded import file_digest
from orn.shared.data_files import not_a_file
from orn.shared.errors import ConfigError, ObjectImportError, VideoDecodeError
from orn.shared.jobs.engines import choose_engine
from orn.shared.jobs.folder_index import without_garbage_collection
from orn.shared.jobs.plan import UNIT_FRAMES, ManifestFile, Plan, Unit, plan_units
from orn.shared.jobs.run import run_units, save_summary
from orn.shared.jobs.work import Advance, UnitResult
from orn.shared.manifests.load import load_listing, load_manifest, locate_videos, own_file
from orn.shared.manifests.records import Video
from orn.shared.manifests.text_files import read_class_names
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.files import SHARD_FILES, shard_path
from orn.shared.shards.schema import (
    MOST_CLASSES,
    UNKNOWN_SOURCE,
    DetectorEntry,
    LeftOut,
    VideoEntry,
)
from orn.shared.shards.shard import Shard
from orn.shared.shards.writer import ShardWriter
from orn.shared.text import counted
from orn.shared.video.read import content_bytes, content_digest, probe
from orn.shared.video.reader import seconds_of_frames
from orn.stage1_detect.imports import authors_vlog, epic100
from orn.stage1_detect.imports.coco import images_file
from orn.stage1_detect.imports.formats import READERS, RECORDS, find_videos
from orn.stage1_detect.imports.matching import Matching, match_videos
from orn.stage1_detect.imports.records import frames_of_records, rows_of_places
from orn.stage1_detect.imports.request import ImportRequest
from orn.stage1_detect.imports.source import GRID, SourceVideo
from orn.stage1_detect.pipeline import add_frames
from orn.stage1_detect.planning import DETECT, IMPORT_SUMMARY_NAME

logger = logging.getLogger(__name__)

IMPORT = replace(DETECT, task="import", steps="videos")
"""The kind of job; a folder of shards may come from either command."""
_FRAME_BYTES = 700
"""Approximate size of a frame in the released files; only affects the size of shards."""
_NAMED = 5
"""Maximum number of ids in a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportJob:
    """A planned import; also makes the shard of each unit (`orn.shared.jobs.work.Work`)."""

    request: ImportRequest
    entry: DetectorEntry
    """The entry in the shards for the source of the objects."""
    folder: Path
    """Output folder of the shards."""
    plan: Plan
    """The units; no video is split."""
    matching: Matching
    """The match between source videos and listed videos."""
    without: int
    """Number of listed videos without a match."""
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
        found, video = self.matching.matched[video_id], self.videos.get(video_id)
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
        if found.places_R is None or video is None:
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

        form, places_R = self.request.form, found.places_R
        if places_R is None:
            frames = READERS[form](found.path)
            placed = ((int(each.place), each.place / entry.rate, each) for each in frames)
        else:
            video = self.videos[entry.id]
            seconds_F = seconds_of_frames(video.path, rate=video.rate)
            rows_P = rows_of_places(found, seconds_F, folder_rate=video.rate)
            lost_R = np.repeat(rows_P < 0, np.unique(places_R, return_counts=True)[1])
            lost_R &= found.spans_R2[:, 1] > 0  # others are frames without objects
            if lost_R.any():
                first = f"{found.at(places_R[lost_R][0])} of {counted(len(seconds_F), 'frame')}"
                leave_out("no frame of the video", first, int(lost_R.sum()))
            frames = frames_of_records(
                found,
                RECORDS[form].objects_in,
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


def plan_import(request: ImportRequest) -> ImportJob:
    """Plan an import without writing anything."""
    manifest = load_manifest(request.dataset)
    folder = request.out or Path("shards") / manifest.name
    SHARD_FILES.check_folder(folder)
    listing = load_listing(manifest, request.data_root, labels=False)
    present = locate_videos(manifest, listing, request.data_root).videos
    videos = {video.id: video for video in present}
    found, names = find_videos(request)
    matching = match_videos(found, listing.video_ids)
    if not matching.matched:
        raise ObjectImportError(
            f"{request.source}: expected objects in the videos listed in {manifest.name!r} "
            f"({', '.join(listing.video_ids[:_NAMED])}), got objects in "
            f"{', '.join(each.id for each in found[:_NAMED])}; rename the videos in the source to "
            "match (with --format authors, its folders)"
        )
    importable = videos if request.form in RECORDS else matching.matched  # records need frame times
    planned = {name: each for name, each in matching.matched.items() if name in importable}
    rates = {each: _rate(each, request, videos.get(each)) for each in planned}
    sizes = [(each, min(_num_frames(planned[each]), UNIT_FRAMES)) for each in planned]
    entry = _entry(request, planned, rates=rates, names=names)
    return ImportJob(
        request=request,
        entry=entry,
        folder=folder,
        plan=Plan(
            dataset=manifest.name,
            frames="imported",
            settings={"detector": asdict(entry)},
            manifest=ManifestFile.of(own_file(manifest)),
            units=plan_units(sizes, UNIT_FRAMES),  # no size is larger, so no video is split
            data_root=str(request.data_root),
        ),
        matching=matching,
        without=len(listing.video_ids) - len(matching.matched),
        videos=videos,
        rates=rates,
    )


def _num_bytes(path: Path) -> int:
    """Return the size of a file; 0 if there is no regular file."""
    return 0 if not_a_file(path) else path.stat().st_size


def _num_frames(found: SourceVideo) -> int:
    """Return the approximate number of frames of a video in the source."""
    if found.places_R is None:
        return _num_bytes(found.path) // _FRAME_BYTES + 1
    return len(np.unique(found.places_R))


def _rate(video_id: str, request: ImportRequest, video: Video | None) -> float:
    """Return the frame rate of masks in Hz: the user's, the manifest's or the published one."""
    if request.form == "authors":
        return authors_vlog.RATE
    known = request.rate or (video.rate if video else None) or epic100.published_rate(video_id)
    if known is None and request.form == "epic100":
        raise ConfigError(
            f"video {video_id!r}: the frame rate of the masks is known only for ids such as P01_01 "
            "or P01_101; pass it with --rate"
        )
    return known or 0.0


def _entry(
    request: ImportRequest,
    planned: Mapping[str, SourceVideo],
    *,
    rates: Mapping[str, float],
    names: Sequence[str],
) -> DetectorEntry:
    """Return the entry for the source of the objects; its digest covers the files."""
    form = request.form
    files: list[Any] = [[each, _num_bytes(planned[each].path), rates[each]] for each in planned]
    if form in RECORDS:
        paths = {each.path for each in planned.values()}
        if form == "coco":
            paths |= {images_file(path) for path in paths}
        digests = [file_digest(path, error=ObjectImportError) for path in sorted(paths)]
        files += [digests, request.first_frame, request.names, request.groups]
    if request.classes is not None:
        names = read_class_names(request.classes)
    elif set(names) <= set(COCO_CLASSES):
        names = COCO_CLASSES
    if len(names) > MOST_CLASSES:
        raise ObjectImportError(
            f"{request.source}: expected at most {MOST_CLASSES:,} classes, got {len(names):,}; "
            "select some with --classes"
        )
    return DetectorEntry(
        config_name=f"imported objects, format {form}",
        config_digest=f"sha256:{hashlib.sha256(json.dumps([form, files]).encode()).hexdigest()}",
        checkpoint_digest="unknown",
        thresholds={"score": authors_vlog.SCORE_THRESHOLD} if form == "authors" else {},
        frame_rate=request.rate if form in RECORDS else None,
        class_names=tuple(names),
    )


def run_import(job: ImportJob) -> dict[str, Any]:
    """Import the units whose shards are missing.

    A video that cannot be imported is recorded in its shard, and the job continues.

    Returns:
        The summary, which is also saved next to the shards: the fields of `describe_import`, and
        `frames`, `detections`, `unreadable` videos and dropped objects (`left_out`) of all shards,
        `skipped_units` of earlier runs, `known_wrong` (videos whose released masks are known to be
        incorrect) and `seconds` of this run.
    """
    engine, fresh = job.request.engine, job.request.fresh
    if engine.engine == "local" and engine.workers is None:
        engine = engine.changed(workers=1)
    units_by = choose_engine(engine)
    with IMPORT.locked(job.folder):
        saved = None if fresh else SHARD_FILES.saved_plan(job.folder)
        plan = job.plan.resumed_from(saved, job.folder)
        checked = epic100.KNOWN_WRONG if job.request.form == "epic100" else ()
        known_wrong = [each for each in checked if each in job.rates]
        for video_id in known_wrong:
            logger.warning("video %s: the released masks are known to be wrong", video_id)
        ran = run_units(
            IMPORT,
            plan,
            job,
            units_by,
            folder=job.folder,
            units=plan.units,
            steps_of=lambda unit: len(unit.parts),
            fresh=fresh,
        )
        shards = [Shard(job.path(unit)) for unit in plan.units]
        summary = {
            **describe_import(job),
            "skipped_units": len(shards) - len(ran.units),
            "unreadable": [asdict(each) for shard in shards for each in shard.failed],
            "left_out": [asdict(each) for shard in shards for each in shard.left_out],
            "known_wrong": known_wrong,
            "frames": sum(shard.num_frames for shard in shards),
            "detections": sum(shard.num_detections for shard in shards),
            "seconds": round(ran.seconds, 3),
        }
        summary["without_video"] += [
            video.id
            for shard in shards
            for video in shard.videos
            if video.source_digest == UNKNOWN_SOURCE and video.id in job.videos
        ]
        save_summary(job.folder / IMPORT_SUMMARY_NAME, summary)
    return summary


def describe_import(job: ImportJob) -> dict[str, Any]:
    """Return a description of an import as a JSON object. It has the counts and ids of `matched`
    videos, `ignoring_case` among them, `unmatched` videos of the source, `ambiguous` listed videos,
    listed videos `without_objects`, and matched videos `without_video` (without a video file).
    """
    matching, units = job.matching, job.plan.units
    return {
        "dataset": job.plan.dataset,
        "format": job.request.form,
        "source": str(job.request.source),
        "out": str(job.folder),
        "units": len(units),
        "existing_shards": len(units) - len(SHARD_FILES.missing(units, job.folder)),
        "classes": len(job.entry.class_names),
        "matched": len(matching.matched),
        "ignoring_case": list(matching.ignoring_case),
        "unmatched": [str(each) for each in matching.unmatched],
        "ambiguous": list(matching.ambiguous),
        "without_objects": job.without,
        "without_video": [each for each in matching.matched if each not in job.videos],
    }
