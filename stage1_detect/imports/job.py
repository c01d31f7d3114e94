"""Turns released masks into shards: each unit of a plan is a shard that appears whole."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from orn.shared.data_files import leads_out
from orn.shared.errors import MaskImportError, VideoDecodeError
from orn.shared.jobs.engines import IN_THIS_PROCESS
from orn.shared.jobs.garbage import uncollected
from orn.shared.jobs.plan import FailedVideo, Unit
from orn.shared.jobs.run import Ran, run_units, save_summary
from orn.shared.jobs.work import Advance, Engine, UnitResult, Worker
from orn.shared.manifests.source import source_of
from orn.shared.shards.files import SHARD_FILES, shard_path
from orn.shared.shards.schema import UNKNOWN_SOURCE, VideoEntry
from orn.shared.shards.shard import Shard
from orn.shared.shards.writer import ShardWriter
from orn.shared.text import counted
from orn.shared.video.read import content_bytes, content_digest
from orn.stage1_detect.imports import authors_vlog, epic100
from orn.stage1_detect.imports.mask_track import GRID, MaskTrack
from orn.stage1_detect.imports.planning import ImportJob, file_bytes
from orn.stage1_detect.pipeline import add_frames
from orn.stage1_detect.planning import DETECT, IMPORT_SUMMARY_NAME

logger = logging.getLogger(__name__)

IMPORT = replace(DETECT, task="import", steps="videos")
"""What an import is; its folder may have been one of a detect job."""
READERS: dict[str, Callable[..., MaskTrack]] = {
    "authors": authors_vlog.read_authors,
    "epic100": epic100.read_epic100,
}
_SHOWN = 20
"""Files of each kind that the report for a person lists."""


def exit_code(summary: Mapping[str, Any]) -> int:
    """0, or 3 if a file could not be imported or could not be told from another."""
    unsettled = any(not each["is_settled"] for each in summary["duplicates"])
    return 3 if summary["unreadable"] or unsettled else 0


def report(summary: Mapping[str, Any]) -> list[str]:
    """Lines that tell a person how the import went."""
    unmatched, duplicates = summary["unmatched"], summary["duplicates"]
    unreadable, without_video = summary["unreadable"], summary["without_video"]
    lines = [
        f"{summary['dataset']}: {counted(summary['frames'], 'mask frame')} of "
        f"{counted(summary['matched'], 'video')}, {counted(summary['detections'], 'detection')}; "
        f"{counted(summary['units'], 'shard')} in {summary['out']}, {summary['skipped_units']} of "
        "them from before",
        f"matched {summary['matched']} ({len(summary['ignoring_case'])} ignoring case), "
        f"unmatched {len(unmatched)}, duplicates {len(duplicates)}, "
        f"unreadable {len(unreadable)}; listed without masks: {summary['without_masks']}",
    ]
    if without_video:
        lines.append(
            f"{counted(len(without_video), 'video is', 'videos are')} not there, so what their "
            "masks belong to is not recorded; import again with --fresh once they are, or "
            "training will refuse them"
        )
    lists = (
        [f"  unmatched: {path}" for path in unmatched],
        [_duplicate_line(each) for each in duplicates],
        [f"  unreadable: {each['id']}: {each['reason']}" for each in unreadable],
    )
    for rows in lists:
        lines += rows[:_SHOWN]
        if len(rows) > _SHOWN:
            lines.append(f"  ... and {len(rows) - _SHOWN} more ({IMPORT_SUMMARY_NAME} lists all)")
    return lines


def _duplicate_line(duplicate: Mapping[str, Any]) -> str:
    outcome = "the exact one was taken" if duplicate["is_settled"] else "none was taken"
    files, ids = ", ".join(duplicate["files"]), ", ".join(duplicate["ids"])
    return f"  duplicate: {files} for {ids}; {outcome}"


def _of_job(job: ImportJob) -> dict[str, Any]:
    return {
        "dataset": job.plan.dataset,
        "format": job.format,
        "source": str(job.source),
        "out": str(job.folder),
        "units": len(job.plan.units),
    }


def describe_import(job: ImportJob) -> dict[str, Any]:
    """What an import would do, as JSON has it."""
    matched, units = job.matching.matched, job.plan.units
    return {
        **_of_job(job),
        "shards_there": len(units) - len(SHARD_FILES.missing(units, job.folder)),
        "source_bytes": sum(file_bytes(path) for path in matched.values()),
        "matched": len(matched),
        "ignoring_case": list(job.matching.ignoring_case),
        "unmatched": [str(path) for path in job.matching.unmatched],
        "duplicates": [[str(path) for path in each.files] for each in job.matching.duplicates],
        "without_masks": len(job.matching.without),
        "without_video": [each for each in matched if each not in job.videos],
    }


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
            ImportWork(job=job),
            engine,
            folder=job.folder,
            units=plan.units,
            steps_of=lambda unit: len(unit.parts),
            fresh=fresh,
        )
        summary = _summarise(job, ran, known_wrong=known_wrong)
        save_summary(job.folder / IMPORT_SUMMARY_NAME, summary)
    return summary


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportWork:
    """What an import does with its units."""

    job: ImportJob

    def path(self, unit: Unit) -> Path:
        """Return the shard of a unit."""
        return shard_path(self.job.folder, unit.index)

    def open(self, device: str) -> Worker:
        """Return what writes the shard of a unit; nothing is kept open."""
        return self._import_unit

    def _import_unit(self, unit: Unit, advance: Advance) -> UnitResult:
        warnings: list[str] = []
        with ShardWriter(self.path(unit), self.job.entry, "label") as writer:
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
        job = self.job
        file, video = job.matching.matched[video_id], job.videos.get(video_id)
        try:
            if leads_out(file, [job.source]):
                raise MaskImportError(
                    f"{file}: is a link that leads out of the folder of masks; copy what is there"
                )
            with uncollected():
                track = READERS[job.format](file)
            size = 0 if video is None else content_bytes(source_of(video))
            digest = UNKNOWN_SOURCE if video is None else content_digest(video.path)
        except (MaskImportError, VideoDecodeError) as err:
            # Names without the way to them, as a shard must be the same wherever the files lie.
            reason = str(err).replace(str(file), file.relative_to(job.source).as_posix())
            if video is not None:
                reason = reason.replace(str(video.path), video.path.name)
            writer.fail(video_id, reason)
            return 0
        rate = job.rates[video_id]
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


def _warn_of_known_wrong(job: ImportJob) -> tuple[str, ...]:
    if job.format != "epic100":
        return ()
    wrong = tuple(each for each in epic100.KNOWN_WRONG if each in job.matching.matched)
    for video_id in wrong:
        logger.warning("masks of %s: the released file is known to be wrong", video_id)
    return wrong


def _summarise(job: ImportJob, ran: Ran, *, known_wrong: tuple[str, ...]) -> dict[str, Any]:
    frames = detections = 0
    unreadable: list[FailedVideo] = []
    without_video: list[str] = []
    for unit in job.plan.units:
        shard = Shard(shard_path(job.folder, unit.index))
        frames += shard.num_frames
        detections += shard.num_detections
        unreadable += shard.failed
        without_video += [
            video.id for video in shard.videos if video.source_digest == UNKNOWN_SOURCE
        ]
    matching = job.matching
    return {
        **_of_job(job),
        "skipped_units": len(job.plan.units) - len(ran.units),
        "matched": len(matching.matched),
        "ignoring_case": list(matching.ignoring_case),
        "unmatched": [str(path) for path in matching.unmatched],
        "duplicates": [
            asdict(each) | {"files": [str(path) for path in each.files]}
            for each in matching.duplicates
        ],
        "unreadable": [asdict(each) for each in unreadable],
        "without_masks": len(matching.without),
        "without_video": without_video,
        "known_wrong": list(known_wrong),
        "frames": frames,
        "detections": detections,
        "seconds": round(ran.seconds, 3),
    }
