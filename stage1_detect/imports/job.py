"""Turns released masks into shards: what an import consists of, found out before any mask is read,
and each unit of its plan made a shard that appears whole."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from orn.shared.data_files import leads_out, not_a_file
from orn.shared.errors import ConfigError, MaskImportError, VideoDecodeError
from orn.shared.jobs.engines import IN_THIS_PROCESS
from orn.shared.jobs.folder_index import uncollected
from orn.shared.jobs.plan import UNIT_FRAMES, ManifestFile, Plan, Unit, plan_units
from orn.shared.jobs.run import Ran, run_units, save_summary
from orn.shared.jobs.work import Advance, Engine, UnitResult
from orn.shared.manifests.load import load_listing, load_manifest, locate_videos, own_file
from orn.shared.manifests.records import Video
from orn.shared.manifests.source import source_of
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.report import Report, first_rows
from orn.shared.shards.files import SHARD_FILES, shard_path
from orn.shared.shards.schema import UNKNOWN_SOURCE, DetectorEntry, VideoEntry
from orn.shared.shards.shard import Shard
from orn.shared.shards.writer import ShardWriter
from orn.shared.text import counted
from orn.shared.video.read import content_bytes, content_digest
from orn.stage1_detect.imports import authors_vlog, epic100
from orn.stage1_detect.imports.mask_track import GRID, MaskTrack
from orn.stage1_detect.imports.matching import (
    Format,
    Matching,
    find_files,
    match_files,
    meant_folders,
)
from orn.stage1_detect.pipeline import add_frames
from orn.stage1_detect.planning import DETECT, IMPORT_SUMMARY_NAME

logger = logging.getLogger(__name__)

IMPORT = replace(DETECT, task="import", steps="videos")
"""What an import is; its folder may have been one of a detect job."""
READERS: dict[str, Callable[[Path], MaskTrack]] = {
    "authors": authors_vlog.read_authors,
    "epic100": epic100.read_epic100,
}
_FRAME_BYTES = 700
"""About what a frame takes in the released files; for the size of shards only."""
_NAMED = 5
"""Folders and ids that an error names."""
_LISTED = 20
"""Files of each kind that the report for a person lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportJob:
    """A plan with what is needed to carry it out, which it does (`orn.shared.jobs.work.Work`)."""

    entry: DetectorEntry
    """What made the masks."""
    format: Format
    """Format of the files."""
    source: Path
    """The folder they lie in."""
    folder: Path
    """Where the shards go."""
    plan: Plan
    """The units; each video lies in one of them as a whole."""
    matching: Matching
    """Which file belongs to which video."""
    videos: Mapping[str, Video]
    """The listed videos that are on this machine, by id."""
    rates: Mapping[str, float]
    """Mask frames a second of each matched video."""

    def path(self, unit: Unit) -> Path:
        """Return the shard of a unit."""
        return shard_path(self.folder, unit.index)

    def open(self, device: str) -> Self:
        """Return this: there is nothing to open."""
        return self

    def __call__(self, unit: Unit, advance: Advance) -> UnitResult:
        """Write the shard of a unit; a file that cannot be read is recorded in it."""
        warnings: list[str] = []
        with ShardWriter(self.path(unit), self.entry, "label") as writer:
            for part in unit.parts:
                background = self._import_video(part.video_id, writer)
                if background:
                    left_out = f"{counted(background, 'detection')} of the class background"
                    warnings.append(f"masks of {part.video_id}: {left_out} left out")
                advance(1)
        return UnitResult(
            unit=unit.index,
            steps=len(unit.parts),
            videos=tuple(video.id for video in writer.videos),
            failed=tuple(writer.failed),
            warnings=tuple(warnings),
        )

    def _import_video(self, video_id: str, writer: ShardWriter) -> int:
        """Adds one video to the shard, as a whole or as failed; detections that are left out."""
        file, video = self.matching.matched[video_id], self.videos.get(video_id)
        try:
            if leads_out(file, [self.source]):
                raise MaskImportError(
                    f"{file}: is a link that leads out of the folder of masks; copy what is there"
                )
            with uncollected():
                track = READERS[self.format](file)
            size = 0 if video is None else content_bytes(source_of(video))
            digest = UNKNOWN_SOURCE if video is None else content_digest(video.path)
        except (MaskImportError, VideoDecodeError) as err:
            # Names without the way to them, as a shard must be the same wherever the files lie.
            reason = str(err).replace(str(file), file.relative_to(self.source).as_posix())
            if video is not None:
                reason = reason.replace(str(video.path), video.path.name)
            writer.fail(video_id, reason)
            return 0
        rate = self.rates[video_id]
        writer.begin_video(
            VideoEntry(
                id=video_id,
                frames=0,
                height=GRID,
                width=GRID,
                rate=rate,
                header_frames=None,
                source_bytes=size,
                source_digest=digest,
            )
        )
        times = (number / rate for number in track.numbers)
        add_frames(writer, zip(track.numbers, times, track.frames, strict=True))
        if writer.open_id is not None:
            writer.end_video()
        return track.background


def plan_import(
    name_or_file: str,
    data_root: Path,
    source: Path,
    *,
    form: Format,
    folder: Path | None = None,
    rate: float | None = None,
) -> ImportJob:
    """Return the job; writes nothing.

    Where no file in `source` belongs to a listed video, and one folder above or below it has files
    that do, that one is taken.

    Args:
        name_or_file: the data set's manifest.
        data_root: where data sets lie; the videos themselves may be absent.
        source: the folder of the released files.
        form: their format.
        folder: where the shards go; None: `shards/NAME`.
        rate: mask frames a second of EPIC's files, where their ids do not tell.

    Raises:
        MaskImportError: if there is no file, or none belongs to a listed video.
        ConfigError: if the rate of a video is not known.
    """
    manifest = load_manifest(name_or_file)
    folder = folder or Path("shards") / manifest.name
    SHARD_FILES.check_folder(folder)
    listing = load_listing(manifest, data_root, labels=False)
    present = locate_videos(manifest, listing, data_root).videos
    source, matching = _match(source, form, manifest.name, listing.video_ids)
    videos = {video.id: video for video in present}
    rates = {
        video_id: _rate(video_id, form, videos.get(video_id), rate) for video_id in matching.matched
    }
    sizes = {video_id: _num_bytes(path) for video_id, path in matching.matched.items()}
    # Never above the size of a unit, so that no video is cut.
    estimates = [(each, min(size // _FRAME_BYTES + 1, UNIT_FRAMES)) for each, size in sizes.items()]
    entry = _entry(form, sizes, rates)
    return ImportJob(
        entry=entry,
        format=form,
        source=source,
        folder=folder,
        plan=Plan(
            dataset=manifest.name,
            frames="imported",
            settings={"detector": asdict(entry)},
            manifest=ManifestFile.of(own_file(manifest)),
            units=plan_units(estimates, UNIT_FRAMES),
            data_root=str(data_root),
        ),
        matching=matching,
        videos=videos,
        rates=rates,
    )


def _num_bytes(path: Path) -> int:
    """Return the size of a file of masks; 0 where there is none that may be opened."""
    return 0 if not_a_file(path) else path.stat().st_size


def _rate(video_id: str, form: Format, video: Video | None, rate: float | None) -> float:
    """Mask frames a second: what the user says, what the manifest says of a folder of the same
    frames, what the publishers did."""
    if form == "authors":
        return authors_vlog.RATE
    known = rate or (video.rate if video else None) or epic100.published_rate(video_id)
    if known is None:
        raise ConfigError(
            f"video {video_id!r}: at which rate its mask frames are numbered cannot be told from "
            "its id (wanted one such as P01_01 or P01_101); say so with --rate"
        )
    return known


def _entry(form: Format, sizes: Mapping[str, int], rates: Mapping[str, float]) -> DetectorEntry:
    """What made the masks, as far as it is known; another set of files is another entry."""
    files = [[video_id, size, rates[video_id]] for video_id, size in sizes.items()]
    digest = hashlib.sha256(json.dumps([form, files]).encode()).hexdigest()
    is_authors = form == "authors"
    return DetectorEntry(
        config_name=f"imported masks, format {form}",
        config_digest=f"sha256:{digest}",
        checkpoint_digest="unknown",
        thresholds={"score": authors_vlog.SCORE_THRESHOLD} if is_authors else {},
        class_names=COCO_CLASSES,
    )


def _match(
    source: Path, form: Format, name: str, video_ids: tuple[str, ...]
) -> tuple[Path, Matching]:
    """The folder of masks, and what became of its files."""
    files = find_files(source, form)
    matching = match_files(files, video_ids)
    if matching.matched:
        return source, matching
    if not files:
        raise MaskImportError(f"{source}: wanted a folder with files *.pkl below it, found none")
    meant = meant_folders(source, files, video_ids) if form == "authors" else []
    if len(meant) == 1:
        logger.warning(
            "%s: none of its files belongs to a listed video of %r, those of %s do; that folder is "
            "taken",
            *(source, name, meant[0]),
        )
        return meant[0], match_files(find_files(meant[0], form), video_ids)
    hint = f"; give one of {', '.join(str(each) for each in meant[:_NAMED])}" if meant else ""
    raise MaskImportError(
        f"{source}: none of its {len(files)} files belongs to a listed video of {name!r}: they are "
        f"for {', '.join(file_id for file_id, _ in files[:_NAMED])}, the list has "
        f"{', '.join(video_ids[:_NAMED])}{hint}"
    )


def run_import(
    job: ImportJob, *, fresh: bool = False, engine: Engine = IN_THIS_PROCESS
) -> dict[str, Any]:
    """Import what the plan has and the folder lacks.

    A file that cannot be read is recorded in its shard and the job goes on. Shards do not depend on
    the engine.

    Returns:
        The summary, which is also saved there: `frames`, `detections`, and `unreadable` videos of
        all shards of the job, `skipped_units` that were there before, `without_video` (videos that
        are not there, so that no digest of theirs is recorded), `known_wrong` (videos whose
        released masks are known to be wrong), `seconds` of this run, and what became of the files:
        `matched`, `ignoring_case` of them, `unmatched`, `duplicates`, `without_masks`.

    Raises:
        ConfigError: if the folder holds the shards of another job.
        PipelineError: if the disk refuses, a worker process ends abruptly, or another job has the
            folder.
    """
    with IMPORT.locked(job.folder):
        saved = None if fresh else SHARD_FILES.saved_plan(job.folder)
        plan = job.plan.going_on_from(saved, job.folder)
        known_wrong = _warn_of_known_wrong(job)
        ran = run_units(
            IMPORT,
            plan,
            job,
            engine,
            folder=job.folder,
            units=plan.units,
            steps_of=lambda unit: len(unit.parts),
            fresh=fresh,
        )
        summary = _summarise(job, ran, known_wrong=known_wrong)
        save_summary(job.folder / IMPORT_SUMMARY_NAME, summary)
    return summary


def _warn_of_known_wrong(job: ImportJob) -> tuple[str, ...]:
    if job.format != "epic100":
        return ()
    wrong = tuple(each for each in epic100.KNOWN_WRONG if each in job.matching.matched)
    for video_id in wrong:
        logger.warning("masks of %s: the released file is known to be wrong", video_id)
    return wrong


def describe_import(job: ImportJob) -> dict[str, Any]:
    """Return what an import would do, as JSON has it."""
    matched, units = job.matching.matched, job.plan.units
    return {
        **_of_job(job),
        "shards_there": len(units) - len(SHARD_FILES.missing(units, job.folder)),
        "source_bytes": sum(map(_num_bytes, matched.values())),
        "without_video": [each for each in matched if each not in job.videos],
    }


def _of_job(job: ImportJob) -> dict[str, Any]:
    matching = job.matching
    return {
        "dataset": job.plan.dataset,
        "format": job.format,
        "source": str(job.source),
        "out": str(job.folder),
        "units": len(job.plan.units),
        "matched": len(matching.matched),
        "ignoring_case": list(matching.ignoring_case),
        "unmatched": [str(path) for path in matching.unmatched],
        "duplicates": [
            asdict(each) | {"ids": [*each.ids], "files": [str(path) for path in each.files]}
            for each in matching.duplicates
        ],
        "without_masks": len(matching.without),
    }


def _summarise(job: ImportJob, ran: Ran, *, known_wrong: tuple[str, ...]) -> dict[str, Any]:
    shards = [Shard(job.path(unit)) for unit in job.plan.units]
    return {
        **_of_job(job),
        "skipped_units": len(shards) - len(ran.units),
        "unreadable": [asdict(each) for shard in shards for each in shard.failed],
        "without_video": [
            video.id
            for shard in shards
            for video in shard.videos
            if video.source_digest == UNKNOWN_SOURCE
        ],
        "known_wrong": list(known_wrong),
        "frames": sum(shard.num_frames for shard in shards),
        "detections": sum(shard.num_detections for shard in shards),
        "seconds": round(ran.seconds, 3),
    }


def exit_code(summary: Mapping[str, Any]) -> int:
    """0, or 3 if a file could not be imported or could not be told from another."""
    unsettled = any(not each["is_settled"] for each in summary["duplicates"])
    return 3 if summary["unreadable"] or unsettled else 0


def report(summary: Mapping[str, Any]) -> Report:
    """Return how the import went."""
    videos, without_video = counted(summary["matched"], "video"), summary["without_video"]
    facts = [
        ("data set", summary["dataset"]),
        ("mask frames", f"{summary['frames']:,} of {videos}"),
        ("detections", f"{summary['detections']:,}"),
        (
            "shards",
            f"{summary['units']:,} in {summary['out']}, {summary['skipped_units']:,} of them from "
            "before",
        ),
        ("matched", f"{summary['matched']} ({len(summary['ignoring_case'])} ignoring case)"),
        *((name, str(len(summary[name]))) for name in ("unmatched", "duplicates", "unreadable")),
        ("without masks", f"{summary['without_masks']} of the listed videos"),
    ]
    lists: dict[tuple[str, ...], Sequence[tuple[str, ...]]] = {
        ("unmatched",): [(path,) for path in summary["unmatched"]],
        ("duplicate", "for", "what was taken"): [
            (
                ", ".join(each["files"]),
                ", ".join(each["ids"]),
                "the exact one" if each["is_settled"] else "none",
            )
            for each in summary["duplicates"]
        ],
        ("unreadable", "reason"): [(each["id"], each["reason"]) for each in summary["unreadable"]],
    }
    notes = []
    if without_video:
        notes.append(
            f"{counted(len(without_video), 'video is', 'videos are')} not there, so what their "
            "masks belong to is not recorded; import again with --fresh once they are, or "
            "training will refuse them"
        )
    tables = [
        first_rows(header, rows, most=_LISTED, all_in=IMPORT_SUMMARY_NAME)
        for header, rows in lists.items()
    ]
    return Report(facts=facts, tables=tables, notes=notes)
