"""The implementation of `orn import-objects`: find the videos of the source, plan the units, import
the missing ones, and summarize their shards."""

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

from orn.data_manifests.load import (
    data_root_of,
    files_of,
    load_listing,
    load_manifest,
    locate_videos,
    own_file,
)
from orn.data_manifests.records import Video
from orn.data_manifests.text_files import read_class_names
from orn.shared.data_files import text_digest
from orn.shared.errors import ConfigError, ObjectImportError
from orn.shared.jobs.atomic_file import temporary_file
from orn.shared.jobs.outputs import default_folder
from orn.shared.jobs.pack_videos import plan_units
from orn.shared.jobs.plan import UNIT_FRAMES, ManifestFile, Plan
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.jobs.run_units import Job, LocalEngine, job_outcome, run_units
from orn.shared.jobs.workers import in_threads
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.shards.shard_format import (
    MOST_CLASSES,
    SHARD_FILES,
    DetectorEntry,
)
from orn.shared.text import counted, first_few
from orn.shared.text_summary import Outcome
from orn.stage1_detect.imports import authors_vlog
from orn.stage1_detect.imports import epic100_objects as epic100
from orn.stage1_detect.imports.import_config import ImportConfig
from orn.stage1_detect.imports.import_unit import ImportWork
from orn.stage1_detect.imports.source_objects import SourceVideo
from orn.stage1_detect.imports.source_videos import RECORDS, find_source_videos, match_videos
from orn.stage1_detect.shard_job import plan_shards, summarize_shards

logger = logging.getLogger(__name__)

_NAMED = 5
"""Maximum number of ids in a message."""
_FRAME_BYTES = 700
"""Approximate size of a frame of released masks; only affects the size of shards."""
_OPTIONS = ("first_frame", "names", "groups")
"""Options on which shards depend, besides the frame rate."""


def import_objects(config: ImportConfig, reporter: Reporter = SILENT) -> Outcome:
    """Import the units whose shards are missing.

    A video that cannot be imported is recorded in its shard, and the job continues.

    Returns:
        The summary, which is also saved next to the shards: the fields of `summarize_shards` and of
        the match in `describe_import`, and dropped objects (`left_out`) of all shards.
    """
    folder = _folder(config)
    with SHARD_FILES.locked(folder), temporary_file(folder / "objects.sqlite") as table:
        job, work, match = plan_import(config, folder, table)
        if without := match["without_video"]:
            logger.warning(
                "%s no file (%s), so their objects cannot be used for training; add the files and "
                "import again",
                counted(len(without), "video has", "videos have"),
                first_few(without),
            )
        if gone := match["gone"]:
            logger.warning(
                "%s: no objects of %s any more whose objects were imported (%s), which are kept",
                config.source,
                counted(len(gone), "video"),
                first_few(gone),
            )
        imported = {part.video_id for unit in job.to_do for part in unit.parts}
        sources = {name: source for name, source in work.matched.items() if name in imported}
        digests = in_threads(lambda source: source.content_digest(), [*sources.values()])
        objects = job.plan.objects | dict(zip(sources, digests, strict=True))
        job = replace(job, plan=replace(job.plan, objects=objects))
        engine = LocalEngine(devices=("cpu",) * config.workers)
        result = run_units(job, work, engine, reporter, task="import", steps="videos")
        return job_outcome(summarize_shards(job, result, **match))


def describe_import(config: ImportConfig) -> dict[str, Any]:
    """Return what `import_objects` would do, as a JSON object, without writing anything but a
    temporary file. It has the counts and ids of `matched` videos, `ignoring_case` among them,
    `unmatched` videos of the source, `ambiguous` listed videos, listed videos `without_objects`,
    matched videos `without_video` (without a video file), and listed videos whose imported objects
    are `gone` from the source.
    """
    with tempfile.TemporaryDirectory() as scratch:
        job, _, match = plan_import(config, _folder(config), Path(scratch) / "objects.sqlite")
        return job.describe(**match)


def _folder(config: ImportConfig) -> Path:
    """Return the output folder, after checking its contents."""
    folder = config.out or default_folder("shards", load_manifest(config.dataset).name)
    reads = chain((config.source,), files_of(config.dataset, config.data_root))
    SHARD_FILES.check_folder(folder, reads=reads, fresh=config.fresh)
    return folder


def plan_import(
    config: ImportConfig, folder: Path, table: Path
) -> tuple[Job, ImportWork, dict[str, Any]]:
    """Plan an import: units for new videos follow the units of the plan in the folder.

    Args:
        config: what to do.
        folder: output folder of the shards.
        table: file for the table of records, to which nothing else is written.

    Returns:
        The job, its work, and format, source, and the match between its videos and listed videos,
        as plain values.
    """
    manifest = load_manifest(config.dataset)
    listing = load_listing(manifest, config.data_root, labels=False)
    present = locate_videos(manifest, listing, config.data_root).videos
    videos = {video.id: video for video in present}
    sources, names = find_source_videos(config, table)
    matching = match_videos(sources, listing.video_ids)
    if not matching.matched:
        raise ObjectImportError(
            f"expected objects in the videos listed in {manifest.name!r} "
            f"({', '.join(listing.video_ids[:_NAMED])}), got objects in "
            f"{', '.join(source.id for source in sources[:_NAMED])}; rename the videos in the "
            "source to match (with --format authors, its folders)",
            where=config.source,
        )
    planned = {
        name: source
        for name, source in matching.matched.items()
        if name in videos or source.read is not None  # others need the times of frames
    }
    rates = {video_id: _rate(video_id, config, videos.get(video_id)) for video_id in planned}
    planned |= {
        name: replace(source, rate=rates[name]) for name, source in planned.items() if source.read
    }
    saved = None if config.fresh else SHARD_FILES.saved_plan(folder)
    entry = _entry(config, planned, rates=rates, names=names)
    if saved is not None and "config_digest" in saved.settings.get("detector", {}):
        # All shards of a folder have the digest of the files of its first import.
        entry = replace(entry, config_digest=saved.settings["detector"]["config_digest"])
    plan = Plan(
        dataset=manifest.name,
        frames="imported",
        settings={
            "detector": asdict(entry),
            "rate": config.rate,
            **{name: getattr(config.options, name) for name in _OPTIONS},
            **({"lines": config.options.lines} if config.options.lines else {}),
        },
        manifest=ManifestFile.of(own_file(manifest)),
        data_root=str(data_root_of(manifest, config.data_root)),
    ).resumed_from(saved, folder)
    known, gone = {*plan.video_ids}, plan.objects.keys() - matching.matched.keys()
    sizes = [
        # No size is larger than a unit, so no video is split.
        (name, min(source.num_frames or source.num_bytes // _FRAME_BYTES + 1, UNIT_FRAMES))
        for name, source in planned.items()
        if name not in known
    ]
    job = plan_shards(
        plan.extended(plan_units(sizes, UNIT_FRAMES, first=len(plan.units))),
        folder,
        videos,
        requested=planned,
        has_other_objects=lambda video_id, since_ns: (
            video_id in planned
            and planned[video_id].has_changed(plan.objects.get(video_id), since_ns)
        ),
        fresh=config.fresh,
        retry_failed=config.retry_failed,
    )
    work = ImportWork(
        config=config,
        entry=entry,
        folder=folder,
        table=table,
        matched=planned,
        videos=videos,
        kept=job.kept,
    )
    match = {
        "format": config.form,
        "source": str(config.source),
        "classes": len(entry.class_names),
        "matched": len(matching.matched),
        "ignoring_case": list(matching.ignoring_case),
        "unmatched": [str(source) for source in matching.unmatched],
        "ambiguous": list(matching.ambiguous),
        "without_objects": len(listing.video_ids) - len(matching.matched),
        "without_video": [name for name in matching.matched if name not in videos],
        "gone": [name for name in listing.video_ids if name in gone],
    }
    return job, work, match


def _rate(video_id: str, config: ImportConfig, video: Video | None) -> float:
    """Return the frame rate of masks in Hz: the user's, the manifest's or the published one."""
    if config.form == "authors":
        return authors_vlog.RATE
    known = config.rate or (video.rate if video else None) or epic100.published_rate(video_id)
    if known is None and config.form == "epic100":
        raise ConfigError(
            f"video {video_id!r}: the frame rate of the masks is known only for ids such as P01_01 "
            "or P01_101; pass it with --rate"
        )
    return known or 0.0


def _entry(
    config: ImportConfig,
    planned: Mapping[str, SourceVideo],
    *,
    rates: Mapping[str, float],
    names: Sequence[str],
) -> DetectorEntry:
    """Return the entry for the source of the objects; its digest covers the files."""
    form = config.form
    files: list[Any] = [[name, planned[name].num_bytes, rates[name]] for name in planned]
    if form in RECORDS:
        files += [source.digest for source in planned.values()]
        files += [getattr(config.options, name) for name in _OPTIONS]
        files += [config.options.lines] if config.options.lines else []
    if config.options.classes is not None:
        names = tuple(read_class_names(config.options.classes))
    elif set(names) <= set(COCO_CLASSES):
        names = COCO_CLASSES
    if len(names) > MOST_CLASSES:
        raise ObjectImportError(
            f"expected at most {MOST_CLASSES:,} classes, got {len(names):,}; "
            "select some with --classes",
            where=config.source,
        )
    return DetectorEntry.imported(
        form,
        config_digest=text_digest(json.dumps([form, files])),
        thresholds={"score": authors_vlog.SCORE_THRESHOLD} if form == "authors" else {},
        frame_rate=config.rate if form in RECORDS else None,
        class_names=tuple(names),
    )
