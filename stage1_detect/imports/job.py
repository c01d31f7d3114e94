"""Turns released masks into shards: each unit of a plan is a shard that appears whole."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from orn.shared.data_files import leads_out
from orn.shared.environment import describe_environment
from orn.shared.errors import MaskImportError, PipelineError, VideoDecodeError
from orn.shared.jobs.atomic_file import remove_stale_temporaries, write_text
from orn.shared.jobs.garbage import uncollected
from orn.shared.jobs.lock import locked
from orn.shared.jobs.progress import progress
from orn.shared.jobs.termination import terminated_as_interrupted
from orn.shared.jobs.workers import in_workers
from orn.shared.manifests.source import source_of
from orn.shared.shards.plan import PLAN_NAME, Unit, shard_path, units_without_shard
from orn.shared.shards.schema import UNKNOWN_SOURCE, FailedVideo, VideoEntry
from orn.shared.shards.shard import Shard
from orn.shared.shards.writer import ShardWriter
from orn.shared.text_table import counted
from orn.shared.video.read import content_bytes, content_digest
from orn.stage1_detect.imports import authors_vlog, epic100
from orn.stage1_detect.imports.mask_track import GRID, MaskTrack
from orn.stage1_detect.imports.planning import ImportJob, begin, file_bytes
from orn.stage1_detect.planning import IMPORT_SUMMARY_NAME

logger = logging.getLogger(__name__)

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
        "shards_there": len(units) - len(units_without_shard(units, job.folder)),
        "source_bytes": sum(file_bytes(path) for path in matched.values()),
        "matched": len(matched),
        "ignoring_case": list(job.matching.ignoring_case),
        "unmatched": [str(path) for path in job.matching.unmatched],
        "duplicates": [[str(path) for path in each.files] for each in job.matching.duplicates],
        "without_masks": len(job.matching.without),
        "without_video": [each for each in matched if each not in job.videos],
    }


def run_import(job: ImportJob, *, fresh: bool = False, workers: int = 1) -> dict[str, Any]:
    """Imports what the plan has and the folder lacks.

    A file that cannot be read is recorded in its shard and the job goes on. Killed at any moment,
    the job leaves whole shards only. They do not depend on the number of processes that read.

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
    started = time.monotonic()
    with locked(job.folder / PLAN_NAME, job="orn detect or orn import-masks"):
        begin(job, fresh=fresh)
        remove_stale_temporaries(job.folder)
        units = units_without_shard(job.plan.units, job.folder)
        known_wrong = _warn_of_known_wrong(job)
        try:
            with terminated_as_interrupted():
                _import(job, units, workers=workers)
        finally:
            remove_stale_temporaries(job.folder)  # of processes that had to be killed
        summary = _summarise(
            job,
            skipped_units=len(job.plan.units) - len(units),
            known_wrong=known_wrong,
            seconds=round(time.monotonic() - started, 3),
        )
        record = summary | {"environment": describe_environment()}
        write_text(job.folder / IMPORT_SUMMARY_NAME, json.dumps(record, indent=1) + "\n")
    return summary


def _import(job: ImportJob, units: Sequence[Unit], *, workers: int) -> None:
    lost = PipelineError(
        f"a process of the import into {job.folder} ended abruptly (out of memory?); shards that "
        "are whole stay, go on with fewer --workers"
    )
    work = partial(_import_unit, job=job)
    with progress("import", total=sum(len(unit.parts) for unit in units), unit="videos") as bar:
        for unit, warnings in in_workers(work, units, workers=workers, lost=lost):
            for warning in warnings:
                logger.warning("%s", warning)
            bar.advance(len(unit.parts))


def _import_unit(unit: Unit, job: ImportJob) -> list[str]:
    """Writes the shard of a unit; returns what to warn of."""
    warnings: list[str] = []
    path = shard_path(job.folder, unit.index)
    with ShardWriter(path, job.plan.detector, "label") as writer:
        for part in unit.parts:
            warning = _import_video(part.video_id, job, writer)
            if warning is not None:
                warnings.append(f"masks of {part.video_id}: {warning}")
    return warnings


def _import_video(video_id: str, job: ImportJob, writer: ShardWriter) -> str | None:
    """Adds one video to the shard, as a whole or as failed; returns what to warn of."""
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
        return None  # the report at the end tells it
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
    for number, frame in zip(track.numbers, track.frames, strict=True):
        writer.add(number, number / rate, frame)
    writer.end_video()
    if not track.background:
        return None
    return f"{counted(track.background, 'detection')} of the class background left out"


def _warn_of_known_wrong(job: ImportJob) -> tuple[str, ...]:
    if job.format != "epic100":
        return ()
    wrong = tuple(each for each in epic100.KNOWN_WRONG if each in job.matching.matched)
    for video_id in wrong:
        logger.warning("masks of %s: the released file is known to be wrong", video_id)
    return wrong


def _summarise(
    job: ImportJob, *, skipped_units: int, known_wrong: tuple[str, ...], seconds: float
) -> dict[str, Any]:
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
        "skipped_units": skipped_units,
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
        "seconds": seconds,
    }
