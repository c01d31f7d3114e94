"""Turns released masks into shards, unit by unit."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from shared.atomic_file import remove_stale_temporaries, write_text
from shared.environment import describe_environment
from shared.errors import MaskImportError, VideoDecodeError
from shared.manifests.records import Video
from shared.progress import progress
from shared.shards.plan import Unit, shard_path
from shared.shards.schema import UNKNOWN_SOURCE
from shared.shards.shard import Shard
from shared.shards.writer import ShardWriter
from shared.video import content_bytes, content_digest
from stage1_detect.engines.local import terminated_as_interrupted
from stage1_detect.imports import authors_vlog, epic100
from stage1_detect.imports.mask_track import GRID, MaskTrack
from stage1_detect.imports.planning import SUMMARY_NAME, ImportJob, begin, units_to_do
from stage1_detect.imports.summary import ImportSummary

__all__ = ["describe_import", "run_import"]

logger = logging.getLogger(__name__)

_READERS: dict[str, Callable[..., MaskTrack]] = {
    "authors": authors_vlog.read_authors,
    "epic100": epic100.read_epic100,
}


def describe_import(job: ImportJob) -> dict[str, Any]:
    """What an import would do, as JSON has it."""
    matched = job.matching.matched
    return {
        "dataset": job.plan.dataset,
        "format": job.format,
        "source": str(job.source),
        "out": str(job.folder),
        "units": len(job.plan.units),
        "shards_there": len(job.plan.units) - len(units_to_do(job)),
        "source_bytes": sum(path.stat().st_size for path in matched.values()),
        "matched": len(matched),
        "ignoring_case": list(job.matching.ignoring_case),
        "unmatched": [str(path) for path in job.matching.unmatched],
        "duplicates": [[str(path) for path in each.files] for each in job.matching.duplicates],
        "without_masks": len(job.matching.without),
        "without_video": [each for each in matched if each not in job.videos],
    }


def run_import(job: ImportJob, *, fresh: bool = False) -> ImportSummary:
    """Imports what the plan has and the folder lacks; the summary is also saved there.

    A file that cannot be read is recorded in its shard and the job goes on. Killed at any moment,
    the job leaves whole shards only.

    Args:
        job: what to do.
        fresh: whether to remove what an earlier job left in the folder.

    Raises:
        ConfigError: if the folder holds the shards of another job.
    """
    started = time.monotonic()
    begin(job, fresh=fresh)
    remove_stale_temporaries(job.folder)
    units = units_to_do(job)
    known_wrong = _warn_of_known_wrong(job)
    with progress("import", total=sum(len(unit.parts) for unit in units), unit="videos") as bar:
        for unit in units:
            with terminated_as_interrupted():
                _import_unit(unit, job, advance=bar.advance)
    summary = _summarise(
        job,
        skipped_units=len(job.plan.units) - len(units),
        known_wrong=known_wrong,
        seconds=round(time.monotonic() - started, 3),
    )
    record = summary.as_json() | {"environment": describe_environment()}
    write_text(job.folder / SUMMARY_NAME, json.dumps(record, indent=1) + "\n")
    return summary


def _import_unit(unit: Unit, job: ImportJob, *, advance: Callable[[], None]) -> None:
    path = shard_path(job.folder, unit.index)
    with ShardWriter(path, job.plan.detector, class_scores=False) as writer:
        for part in unit.parts:
            _import_video(part.video_id, job, writer)
            advance()


def _import_video(video_id: str, job: ImportJob, writer: ShardWriter) -> None:
    """Adds one video to the shard, as a whole or as failed."""
    try:
        track = _READERS[job.format](job.matching.matched[video_id])
        size, digest = _source(job.videos.get(video_id))
    except (MaskImportError, VideoDecodeError) as err:
        logger.warning("masks of %s: %s", video_id, err)
        writer.fail(video_id, str(err))
        return
    if track.background:
        logger.warning(
            "masks of %s: %d detections of the class background are left out",
            video_id,
            track.background,
        )
    rate = job.rates[video_id]
    writer.begin_video(
        video_id,
        height=GRID,
        width=GRID,
        rate=rate,
        header_frames=None,
        source_bytes=size,
        source_digest=digest,
    )
    for number, frame in zip(track.numbers, track.frames, strict=True):
        writer.add(number, number / rate, frame)
    writer.end_video()


def _source(video: Video | None) -> tuple[int, str]:
    if video is None:
        return 0, UNKNOWN_SOURCE
    return content_bytes(video.path), content_digest(video.path)


def _warn_of_known_wrong(job: ImportJob) -> tuple[str, ...]:
    if job.format != "epic100":
        return ()
    wrong = tuple(each for each in epic100.KNOWN_WRONG if each in job.matching.matched)
    for video_id in wrong:
        logger.warning("masks of %s: the released file is known to be wrong", video_id)
    return wrong


def _summarise(
    job: ImportJob, *, skipped_units: int, known_wrong: tuple[str, ...], seconds: float
) -> ImportSummary:
    shards = [Shard(shard_path(job.folder, unit.index)) for unit in job.plan.units]
    return ImportSummary(
        dataset=job.plan.dataset,
        format=job.format,
        source=str(job.source),
        out=str(job.folder),
        units=len(shards),
        skipped_units=skipped_units,
        matched=len(job.matching.matched),
        ignoring_case=job.matching.ignoring_case,
        unmatched=tuple(str(path) for path in job.matching.unmatched),
        duplicates=job.matching.duplicates,
        unreadable=tuple(video for shard in shards for video in shard.failed),
        without_masks=len(job.matching.without),
        without_video=tuple(
            video.id
            for shard in shards
            for video in shard.videos
            if video.source_digest == UNKNOWN_SOURCE
        ),
        known_wrong=known_wrong,
        frames=sum(shard.num_frames for shard in shards),
        detections=sum(shard.num_detections for shard in shards),
        seconds=seconds,
    )
