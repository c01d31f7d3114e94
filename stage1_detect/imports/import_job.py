"""Run an import of objects from other sources into shards."""

import logging
import tempfile
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from orn.data_manifests.load import files_of, load_manifest
from orn.shared.jobs.atomic_file import temporary_file
from orn.shared.jobs.engines import choose_engine
from orn.shared.jobs.outputs import default_folder
from orn.shared.jobs.run_units import run_units, save_summary
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import IMPORT_SUMMARY_NAME, SHARD_FILES, UNKNOWN_SOURCE
from orn.stage1_detect.imports import epic100_objects as epic100
from orn.stage1_detect.imports.import_plan import ImportJob, plan_import
from orn.stage1_detect.imports.import_request import ImportRequest

logger = logging.getLogger(__name__)


def import_objects(request: ImportRequest) -> dict[str, Any]:
    """Import the units whose shards are missing.

    A video that cannot be imported is recorded in its shard, and the job continues.

    Returns:
        The summary, which is also saved next to the shards: the fields of `describe_import`, and
        `frames`, `detections`, `unreadable` videos and dropped objects (`left_out`) of all shards,
        `skipped_units` of earlier runs, `known_wrong` (videos whose released masks are known to be
        incorrect) and `seconds` of this run.
    """
    folder = _folder(request)
    with SHARD_FILES.locked(folder), temporary_file(folder / "objects.sqlite") as table:
        return _run(plan_import(request, folder, table))


def describe_import(request: ImportRequest) -> dict[str, Any]:
    """Return what `import_objects` would do, as a JSON object, without writing anything but a
    temporary file. It has the counts and ids of `matched` videos, `ignoring_case` among them,
    `unmatched` videos of the source, `ambiguous` listed videos, listed videos `without_objects`,
    and matched videos `without_video` (without a video file).
    """
    with tempfile.TemporaryDirectory() as scratch:
        return _described(plan_import(request, _folder(request), Path(scratch) / "objects.sqlite"))


def _folder(request: ImportRequest) -> Path:
    """Return the output folder, after checking its contents."""
    folder = request.out or default_folder("shards", load_manifest(request.dataset).name)
    reads = chain((request.source,), files_of(request.dataset, request.data_root))
    SHARD_FILES.check_folder(folder, reads=reads, fresh=request.fresh)
    return folder


def _run(job: ImportJob) -> dict[str, Any]:
    work = job.work
    engine, fresh, folder = work.request.engine, work.request.fresh, work.folder
    if engine.engine == "local" and engine.workers is None:
        engine = engine.changed(workers=1)
    units_by = choose_engine(engine)
    saved = None if fresh else SHARD_FILES.saved_plan(folder)
    plan = job.plan.resumed_from(saved, folder)
    checked = epic100.KNOWN_WRONG if work.request.form == "epic100" else ()
    known_wrong = [each for each in checked if each in work.rates]
    for video_id in known_wrong:
        logger.warning("video %s: the released masks are known to be wrong", video_id)
    ran = run_units(
        SHARD_FILES,
        plan,
        work,
        units_by,
        folder=folder,
        task="import",
        steps="videos",
        units=plan.units,
        fresh=fresh,
    )
    shards = [Shard(work.path(unit)) for unit in plan.units]
    summary = {
        **_described(job),
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
        if video.source_digest == UNKNOWN_SOURCE and video.id in work.videos
    ]
    save_summary(folder / IMPORT_SUMMARY_NAME, summary)
    return summary


def _described(job: ImportJob) -> dict[str, Any]:
    matching, units, work = job.matching, job.plan.units, job.work
    return {
        "dataset": job.plan.dataset,
        "format": work.request.form,
        "source": str(work.request.source),
        "out": str(work.folder),
        "units": len(units),
        "existing_shards": len(units) - len(SHARD_FILES.missing(units, work.folder)),
        "classes": len(work.entry.class_names),
        "matched": len(matching.matched),
        "ignoring_case": list(matching.ignoring_case),
        "unmatched": [str(each) for each in matching.unmatched],
        "ambiguous": list(matching.ambiguous),
        "without_objects": job.without,
        "without_video": [each for each in matching.matched if each not in work.videos],
    }
