"""What an import consists of, found out before any mask is read."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from orn.shared.data_files import not_a_file
from orn.shared.errors import ConfigError, MaskImportError
from orn.shared.jobs.plan import UNIT_FRAMES, ManifestFile, Plan, plan_units
from orn.shared.manifests.load import load_listing, load_manifest, locate_videos, own_file
from orn.shared.manifests.records import Video
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.shards.files import SHARD_FILES
from orn.shared.shards.schema import DetectorEntry
from orn.stage1_detect.imports import authors_vlog, epic100
from orn.stage1_detect.imports.matching import (
    Format,
    Matching,
    find_files,
    match_files,
    meant_folders,
)

logger = logging.getLogger(__name__)

_FRAME_BYTES = 700
"""About what a frame takes in the released files; for the size of shards only."""
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportJob:
    """A plan with what is needed to carry it out."""

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


def plan_import(
    name_or_file: str,
    data_root: Path,
    source: Path,
    *,
    form: Format,
    folder: Path | None = None,
    rate: float | None = None,
) -> ImportJob:
    """The job; writes nothing.

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
    sizes = {video_id: file_bytes(path) for video_id, path in matching.matched.items()}
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


def file_bytes(path: Path) -> int:
    """Size of a file of masks; 0 where there is none that may be opened."""
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
    hint = f"; give one of {', '.join(str(each) for each in meant[:_SHOWN])}" if meant else ""
    raise MaskImportError(
        f"{source}: none of its {len(files)} files belongs to a listed video of {name!r}: they are "
        f"for {', '.join(file_id for file_id, _ in files[:_SHOWN])}, the list has "
        f"{', '.join(video_ids[:_SHOWN])}{hint}"
    )
