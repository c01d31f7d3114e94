"""Turns objects of another source into shards: what an import consists of, found out before any
object is read, and each unit of its plan made a shard that appears whole."""

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
from orn.shared.manifests.source import source_of
from orn.shared.manifests.text_files import read_class_names
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.report import Report, first_rows
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
from orn.stage1_detect.imports.formats import READERS, RECORDS, check_inside, find_videos
from orn.stage1_detect.imports.matching import Matching, match_videos
from orn.stage1_detect.imports.records import frames_of_records, rows_of_places
from orn.stage1_detect.imports.request import ImportRequest
from orn.stage1_detect.imports.source import GRID, SourceVideo
from orn.stage1_detect.pipeline import add_frames
from orn.stage1_detect.planning import DETECT, IMPORT_SUMMARY_NAME

logger = logging.getLogger(__name__)

IMPORT = replace(DETECT, task="import", steps="videos")
"""What an import is; its folder may have been one of a detect job."""
_FRAME_BYTES = 700
"""About what a frame takes in the released files; for the size of shards only."""
_NAMED = 5
"""Ids that a message names."""
_LISTED = 20
"""Rows of each kind that the report for a person lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportJob:
    """A plan with what is needed to carry it out, which it does (`orn.shared.jobs.work.Work`)."""

    request: ImportRequest
    entry: DetectorEntry
    """What made the objects."""
    folder: Path
    """Where the shards go."""
    plan: Plan
    """The units; each video lies in one of them as a whole."""
    matching: Matching
    """Which video of the source is which listed one."""
    without: int
    """Listed videos that the source lacks."""
    videos: Mapping[str, Video]
    """The listed videos that are on this machine, by id."""
    rates: Mapping[str, float]
    """Frames a second of released masks, of each video."""

    def path(self, unit: Unit) -> Path:
        """Return the shard of a unit."""
        return shard_path(self.folder, unit.index)

    def open(self, device: str) -> Self:
        """Return this: there is nothing to open."""
        return self

    def __call__(self, unit: Unit, advance: Advance) -> UnitResult:
        """Write the shard of a unit; a video that cannot be imported is recorded in it."""
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
                f"video {each.id}: {counted(each.number, 'object')} left out, {each.reason}, the "
                f"first at {each.first}"
                for each in writer.left_out
            ),
        )

    def _import_video(self, video_id: str, writer: ShardWriter) -> None:
        """Adds one video to the shard, as a whole or as failed."""
        found, video = self.matching.matched[video_id], self.videos.get(video_id)
        left_out: dict[str, LeftOut] = {}
        try:
            check_inside(found.path, self.request.source)
            entry = self._entry_of(video_id, found, video)
            writer.begin_video(entry)
            with without_garbage_collection():
                add_frames(writer, self._frames(entry, found, left_out))
        except (ObjectImportError, VideoDecodeError) as err:
            # Names without the way to them, as a shard must be the same wherever the files lie.
            reason = str(err).replace(str(found.path), _name(found.path, self.request.source))
            if video is not None:
                reason = reason.replace(str(video.path), video.path.name)
            writer.fail(video_id, reason)
        if writer.open_id is not None:
            writer.end_video()
            writer.left_out += left_out.values()

    def _entry_of(self, video_id: str, found: SourceVideo, video: Video | None) -> VideoEntry:
        """What a shard says of a video before its frames are counted."""
        size = 0 if video is None else content_bytes(source_of(video))
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
        """Yield place, time and objects of each frame; notes what is left out."""

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
            seconds_F = seconds_of_frames(source_of(video), rate=video.rate)
            rows_P = rows_of_places(found, seconds_F)
            lost_R = np.repeat(rows_P < 0, np.unique(places_R, return_counts=True)[1])
            if lost_R.any():
                first = f"{found.at(places_R[lost_R][0])} of {counted(len(seconds_F), 'frame')}"
                leave_out("no frame of the video", first, int(lost_R.sum()))
            frames = frames_of_records(
                found,
                RECORDS[form].objects_in,
                rows_P >= 0,
                grid=(entry.height, entry.width),
                classes=self.entry.class_names,
            )
            rows = rows_P[rows_P >= 0].tolist()
            placed = ((row, seconds_F[row], each) for row, each in zip(rows, frames, strict=True))
        for index, seconds, frame in placed:
            for reason, what in frame.left_out:
                leave_out(reason, f"{found.at(frame.place)}: {what}")
            yield index, float(seconds), frame.detections


def plan_import(request: ImportRequest) -> ImportJob:
    """Return the job; writes nothing.

    Raises:
        ObjectImportError: if there is no file, one is not of the format, or none has objects of a
            listed video.
        ConfigError: if an option is not one of the format, or the rate of a video is not known.
    """
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
            f"{request.source}: expected objects of listed videos of {manifest.name!r} "
            f"({', '.join(listing.video_ids[:_NAMED])}), got those of "
            f"{', '.join(each.id for each in found[:_NAMED])}; names must be the same, and of "
            "the format authors so must the folders below this one"
        )
    planned = dict(matching.matched)
    if request.form in RECORDS:  # whose frames are told by those of the videos
        planned = {video_id: each for video_id, each in planned.items() if video_id in videos}
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
            units=plan_units(sizes, UNIT_FRAMES),  # none is above it, so that no video is cut
            data_root=str(request.data_root),
        ),
        matching=matching,
        without=len(listing.video_ids) - len(matching.matched),
        videos=videos,
        rates=rates,
    )


def _num_bytes(path: Path) -> int:
    """Return the size of a file; 0 where there is none that may be opened."""
    return 0 if not_a_file(path) else path.stat().st_size


def _num_frames(found: SourceVideo) -> int:
    """About how many frames of a video a source has."""
    if found.places_R is None:
        return _num_bytes(found.path) // _FRAME_BYTES + 1
    return len(np.unique(found.places_R))


def _rate(video_id: str, request: ImportRequest, video: Video | None) -> float:
    """Frames a second of masks: what the user says, what the manifest says of a folder of the same
    frames, what the publishers did."""
    if request.form == "authors":
        return authors_vlog.RATE
    known = request.rate or (video.rate if video else None) or epic100.published_rate(video_id)
    if known is None and request.form == "epic100":
        raise ConfigError(
            f"video {video_id!r}: expected an id such as P01_01 or P01_101, which tells the rate "
            "of its numbered frames; say it with --rate"
        )
    return known or 0.0


def _entry(
    request: ImportRequest,
    planned: Mapping[str, SourceVideo],
    *,
    rates: Mapping[str, float],
    names: Sequence[str],
) -> DetectorEntry:
    """What made the objects, as far as it is known; another set of files is another entry."""
    form = request.form
    files: list[Any] = [[each, _num_bytes(planned[each].path), rates[each]] for each in planned]
    if form in RECORDS:
        paths = sorted({each.path for each in planned.values()})
        digests = [file_digest(path, error=ObjectImportError) for path in paths]
        files += [digests, request.first_frame, request.names]
    if request.classes is not None:
        names = read_class_names(request.classes)
    elif set(names) <= set(COCO_CLASSES):
        names = COCO_CLASSES
    if len(names) > MOST_CLASSES:
        raise ObjectImportError(
            f"{request.source}: expected at most {MOST_CLASSES:,} classes, got {len(names):,}; "
            "name those that count with --classes"
        )
    return DetectorEntry(
        config_name=f"imported objects, format {form}",
        config_digest=f"sha256:{hashlib.sha256(json.dumps([form, files]).encode()).hexdigest()}",
        checkpoint_digest="unknown",
        thresholds={"score": authors_vlog.SCORE_THRESHOLD} if form == "authors" else {},
        class_names=tuple(names),
    )


def run_import(job: ImportJob) -> dict[str, Any]:
    """Import what the plan has and the folder lacks.

    A video that cannot be imported is recorded in its shard and the job goes on. Shards do not
    depend on the engine.

    Returns:
        The summary, which is also saved there: that of `describe_import`, and `frames`,
        `detections`, `unreadable` videos and what was `left_out` of others in all shards of the
        job, `skipped_units` that were there before, `known_wrong` (videos whose released masks are
        known to be wrong) and `seconds` of this run.

    Raises:
        ConfigError: if the folder holds the shards of another job.
        PipelineError: if the disk refuses, a worker process ends abruptly, or another job has the
            folder.
    """
    engine, fresh = job.request.engine, job.request.fresh
    if engine.engine == "local" and engine.workers is None:
        engine = engine.changed(workers=1)
    units_by = choose_engine(engine)
    with IMPORT.locked(job.folder):
        saved = None if fresh else SHARD_FILES.saved_plan(job.folder)
        plan = job.plan.resumed_from(saved, job.folder)
        known_wrong = [each for each in epic100.KNOWN_WRONG if each in job.rates]
        known_wrong = known_wrong if job.request.form == "epic100" else []
        for video_id in known_wrong:
            logger.warning("masks of %s: the released file is known to be wrong", video_id)
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
    """Return what an import would do: `matched` videos, `ignoring_case` of them, `unmatched` ones
    of the source, `ambiguous` listed ones, `without_objects`, and `without_video` (which are not
    there, so that no digest of theirs is recorded, or nothing is imported)."""
    matching, units = job.matching, job.plan.units
    return {
        "dataset": job.plan.dataset,
        "format": job.request.form,
        "source": str(job.request.source),
        "out": str(job.folder),
        "units": len(units),
        "shards_there": len(units) - len(SHARD_FILES.missing(units, job.folder)),
        "classes": len(job.entry.class_names),
        "matched": len(matching.matched),
        "ignoring_case": list(matching.ignoring_case),
        "unmatched": [str(each) for each in matching.unmatched],
        "ambiguous": list(matching.ambiguous),
        "without_objects": job.without,
        "without_video": [each for each in matching.matched if each not in job.videos],
    }


def exit_code(summary: Mapping[str, Any]) -> int:
    """Return 0, or 3 if a video could not be imported or could not be told from another."""
    return 3 if summary["unreadable"] or summary["ambiguous"] else 0


def report(summary: Mapping[str, Any]) -> Report:
    """Return how the import went."""
    without_video = summary["without_video"]
    facts = [
        ("data set", summary["dataset"]),
        ("frames", f"{summary['frames']:,}"),
        (
            "objects",
            f"{summary['detections']:,} of {counted(summary['classes'], 'class', 'classes')}",
        ),
        (
            "shards",
            f"{summary['units']:,} in {summary['out']}, {summary['skipped_units']:,} of them from "
            "before",
        ),
        ("matched", f"{summary['matched']} ({len(summary['ignoring_case'])} ignoring case)"),
        *((name, str(len(summary[name]))) for name in ("unmatched", "ambiguous", "unreadable")),
        ("left out", counted(sum(each["number"] for each in summary["left_out"]), "object")),
        ("without objects", f"{summary['without_objects']} of the listed videos"),
    ]
    lists: dict[tuple[str, ...], Sequence[tuple[str, ...]]] = {
        ("unmatched",): [(each,) for each in summary["unmatched"]],
        ("ambiguous",): [(each,) for each in summary["ambiguous"]],
        ("unreadable", "reason"): [(each["id"], each["reason"]) for each in summary["unreadable"]],
        ("left out of", "objects", "reason", "the first"): [
            (each["id"], f"{each['number']:,}", each["reason"], each["first"])
            for each in summary["left_out"]
        ],
    }
    tables = [
        first_rows(header, rows, most=_LISTED, all_in=IMPORT_SUMMARY_NAME)
        for header, rows in lists.items()
    ]
    notes = []
    if without_video:
        notes.append(
            f"{counted(len(without_video), 'video is', 'videos are')} not there "
            f"({', '.join(without_video[:_NAMED])}), so training cannot use their objects; import "
            "again with --fresh once they are"
        )
    return Report(facts=facts, tables=tables, notes=notes)


def _name(path: Path, source: Path) -> str:
    return path.name if path == source else path.relative_to(source).as_posix()
