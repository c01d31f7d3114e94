"""Imports units of a plan in this process or in several; each is a shard that appears whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from shared.errors import MaskImportError, PipelineError, VideoDecodeError
from shared.jobs.workers import in_workers
from shared.manifests.records import Video
from shared.shards.plan import Unit, shard_path
from shared.shards.schema import UNKNOWN_SOURCE
from shared.shards.writer import ShardWriter
from shared.video.read import content_bytes, content_digest
from stage1_detect.imports import authors_vlog, epic100
from stage1_detect.imports.mask_track import GRID, MaskTrack
from stage1_detect.imports.planning import ImportJob

__all__ = ["import_units"]

_READERS: dict[str, Callable[..., MaskTrack]] = {
    "authors": authors_vlog.read_authors,
    "epic100": epic100.read_epic100,
}


def import_units(
    units: Sequence[Unit], job: ImportJob, *, workers: int = 1
) -> Iterator[tuple[Unit, list[str]]]:
    """Imports units; each is handed out when its shard is on the disk, with what to warn of.

    SIGTERM ends the work as ctrl-C does. Shards that are written stay; worker processes are ended
    and may leave temporaries.

    Raises:
        PipelineError: if the disk refuses, or a worker process ends abruptly.
    """
    lost = PipelineError(
        f"a process of the import into {job.folder} ended abruptly (out of memory?); shards that "
        "are whole stay, go on with fewer --workers"
    )
    return in_workers(partial(_import_unit, job=job), units, workers=workers, lost=lost)


def _import_unit(unit: Unit, job: ImportJob) -> list[str]:
    """Writes the shard of a unit; returns what to warn of."""
    warnings: list[str] = []
    path = shard_path(job.folder, unit.index)
    with ShardWriter(path, job.plan.detector, class_scores=False) as writer:
        for part in unit.parts:
            warning = _import_video(part.video_id, job, writer)
            if warning is not None:
                warnings.append(f"masks of {part.video_id}: {warning}")
    return warnings


def _import_video(video_id: str, job: ImportJob, writer: ShardWriter) -> str | None:
    """Adds one video to the shard, as a whole or as failed; returns what to warn of."""
    file, video = job.matching.matched[video_id], job.videos.get(video_id)
    try:
        track = _READERS[job.format](file)
        size, digest = _source(video)
    except (MaskImportError, VideoDecodeError) as err:
        # Names without the way to them, as a shard must be the same wherever the files lie.
        reason = str(err).replace(str(file), file.relative_to(job.source).as_posix())
        if video is not None:
            reason = reason.replace(str(video.path), video.path.name)
        writer.fail(video_id, reason)
        return reason
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
    if not track.background:
        return None
    return f"{track.background} detections of the class background are left out"


def _source(video: Video | None) -> tuple[int, str]:
    """Size and digest of a video, as far as it is there."""
    if video is None:
        return 0, UNKNOWN_SOURCE
    return content_bytes(video.path), content_digest(video.path)
