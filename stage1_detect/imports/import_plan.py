"""Plan an import of objects from other sources."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orn.data_manifests.load import load_listing, load_manifest, locate_videos, own_file
from orn.data_manifests.records import Video
from orn.data_manifests.text_files import read_class_names
from orn.shared.data_files import file_digest, not_a_file, text_digest
from orn.shared.errors import ConfigError, ObjectImportError
from orn.shared.jobs.plan import UNIT_FRAMES, ManifestFile, Plan, plan_units
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.shards.shard_format import MOST_CLASSES, DetectorEntry
from orn.stage1_detect.imports import authors_vlog
from orn.stage1_detect.imports import epic100_objects as epic100
from orn.stage1_detect.imports.coco import images_file
from orn.stage1_detect.imports.formats import RECORDS, find_videos
from orn.stage1_detect.imports.import_request import ImportRequest
from orn.stage1_detect.imports.matching import Matching, match_videos
from orn.stage1_detect.imports.source_objects import SourceVideo
from orn.stage1_detect.imports.worker import ImportWork

_SOURCE_FRAME_BYTES = 700
"""Approximate size of a frame in the released files; only affects the size of shards."""
_NAMED = 5
"""Maximum number of ids in a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportJob:
    """A planned import."""

    work: ImportWork
    plan: Plan
    """The units; no video is split."""
    matching: Matching
    """The match between source videos and listed videos."""
    without: int
    """Number of listed videos without a match."""


def plan_import(request: ImportRequest, folder: Path, table: Path) -> ImportJob:
    """Plan an import.

    Args:
        request: options of the command.
        folder: output folder of the shards.
        table: file for the table of records, to which nothing else is written.
    """
    manifest = load_manifest(request.dataset)
    listing = load_listing(manifest, request.data_root, labels=False)
    present = locate_videos(manifest, listing, request.data_root).videos
    videos = {video.id: video for video in present}
    found, names = find_videos(request, table)
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
    work = ImportWork(
        request=request,
        entry=entry,
        folder=folder,
        table=table,
        matched=matching.matched,
        videos=videos,
        rates=rates,
    )
    return ImportJob(
        work=work,
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
    )


def _num_bytes(path: Path) -> int:
    """Return the size of a file; 0 if there is no regular file."""
    return 0 if not_a_file(path) else path.stat().st_size


def _num_frames(found: SourceVideo) -> int:
    """Return the approximate number of frames of a video in the source."""
    if found.file is None:
        return _num_bytes(found.path) // _SOURCE_FRAME_BYTES + 1
    return found.num_frames


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
        names = tuple(read_class_names(request.classes))
    elif set(names) <= set(COCO_CLASSES):
        names = COCO_CLASSES
    if len(names) > MOST_CLASSES:
        raise ObjectImportError(
            f"{request.source}: expected at most {MOST_CLASSES:,} classes, got {len(names):,}; "
            "select some with --classes"
        )
    return DetectorEntry.imported(
        form,
        config_digest=text_digest(json.dumps([form, files])),
        thresholds={"score": authors_vlog.SCORE_THRESHOLD} if form == "authors" else {},
        frame_rate=request.rate if form in RECORDS else None,
        class_names=tuple(names),
    )
