"""Plan a detect job: the frames to process, and their units."""

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orn.data_manifests.headers import read_headers, warn_of_times_beyond
from orn.data_manifests.records import Dataset, Segment
from orn.shared.errors import ConfigError, VideoDecodeError
from orn.shared.jobs.plan import (
    ManifestFile,
    Plan,
    Unit,
    plan_units,
)
from orn.shared.jobs.run_units import Kind
from orn.shared.jobs.workers import in_threads
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_folder import open_folder
from orn.shared.shards.shard_format import SHARD_FILES, VideoEntry, shard_path
from orn.shared.text import counted, first_few
from orn.shared.video.read import FrameEstimate, is_same_content
from orn.stage1_detect.detect_request import Scope
from orn.stage1_detect.labeled_frames import (
    check_segments,
    labeled_ranges,
    pack_ranges,
)

logger = logging.getLogger(__name__)

DETECT = Kind(
    command="orn detect or orn import-objects",
    task="detect",
    steps="frames",
    files=SHARD_FILES,
)
"""The kind of job; a folder of shards may come from either command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectJob:
    """A planned detect job."""

    dataset: Dataset
    """The data set."""
    folder: Path
    """Output folder of the shards."""
    plan: Plan
    """All units of the folder, and the settings of their shards."""
    units: tuple[Unit, ...]
    """Units of the plan that contain a requested video."""
    again: tuple[Unit, ...]
    """Units in `units` to reprocess because their shard records a failed video."""
    to_do: tuple[Unit, ...]
    """Units in `units` whose shard is missing, and units to reprocess."""
    estimates: Mapping[str, FrameEstimate]
    """Number of frames to process in each video that is new in the plan."""
    unlabeled: int = 0
    """Number of videos skipped because no segment covers any of their frames."""


def warn_of_missing(dataset: Dataset) -> None:
    """Warn about listed videos without a file."""
    num_listed = len(dataset.videos) + len(dataset.missing)
    if dataset.missing:
        logger.warning(
            "%s: %d of %s missing in %s (such as %s); continuing without them",
            dataset.name,
            len(dataset.missing),
            counted(num_listed, "listed video is", "listed videos are"),
            dataset.root,
            first_few(dataset.missing),
        )


def plan_job(
    dataset: Dataset,
    *,
    folder: Path,
    data_root: Path | None = None,
    scope: Scope | None = None,
    settings: Mapping[str, Any] = MappingProxyType({}),
    fresh: bool = False,
    retry_failed: bool = False,
) -> DetectJob:
    """Plan a job without writing anything: extend the plan in the folder by units for new videos.

    Existing units do not change, so their shards remain valid when the limit is raised or videos
    are added.

    Args:
        dataset: the data set.
        folder: output folder of the shards.
        data_root: folder of the data set, recorded in the plan.
        scope: frames to process.
        settings: other settings on which the shards depend, such as the detector. A setting that is
            missing here or in the folder's plan is not compared.
        fresh: whether to plan as if the folder were empty.
        retry_failed: whether to also reprocess units whose shard records a failed or replaced
            video.

    Raises:
        ConfigError: if the folder has shards of a different job or without a plan, or if only
            labeled frames are requested and no video is labeled.
    """
    scope = scope or Scope()
    saved = None if fresh else SHARD_FILES.saved_plan(folder)
    units = () if saved is None else saved.units
    plan = Plan(
        dataset=dataset.name,
        frames=scope.frames,
        settings={"rate": scope.rate, "unit_frames": scope.unit_frames, **settings},
        manifest=ManifestFile.of(dataset.manifest),
        units=units,
        data_root=None if data_root is None else str(data_root),
    ).resumed_from(saved, folder)
    check_segments(plan, dataset.segments, folder)
    videos = scope.videos(dataset)
    if not videos:
        raise ConfigError(
            f"data set {dataset.name!r}: no segment of the label table is in an existing video; "
            "omit --frames labeled"
        )
    known = set(plan.video_ids)
    headers = read_headers([video for video in videos if video.id not in known])
    estimates = {video_id: each.at_rate(scope.rate) for video_id, each in headers.items()}
    plan = replace(plan, units=(*units, *_new_units(dataset, estimates, scope, first=len(units))))
    asked = {video.id for video in videos}
    if scope.limit is None:
        asked |= known - {video.id for video in dataset.videos}  # their files were deleted
    units = tuple(u for u in plan.units if any(part.video_id in asked for part in u.parts))
    missing = units if fresh else SHARD_FILES.missing(units, folder)
    again = _again(dataset, set(units) - set(missing), folder) if retry_failed else ()
    to_do = (*missing, *again)
    return DetectJob(
        dataset=dataset,
        folder=folder,
        plan=plan,
        units=units,
        again=again,
        to_do=to_do,
        estimates=estimates,
        unlabeled=len(dataset.videos[: scope.limit]) - len(videos),
    )


def _again(dataset: Dataset, units: Iterable[Unit], folder: Path) -> tuple[Unit, ...]:
    """Return the units whose shard records a failed or replaced video, by index."""
    replaced = _replaced(dataset, units, folder)
    again = tuple(
        unit
        for unit in sorted(units, key=lambda unit: unit.index)
        if unit.index in replaced or Shard(shard_path(folder, unit.index)).failed
    )
    logger.info("redoing %s with failed or replaced videos", counted(len(again), "unit"))
    return again


def warn_of_replaced(job: DetectJob) -> None:
    """Warn about videos in finished units whose file is not the one in the shard."""
    found = _replaced(job.dataset, set(job.units) - set(job.to_do), job.folder)
    if ids := sorted({video_id for each in found.values() for video_id in each}):
        logger.warning(
            "%s: %s replaced after detection (such as %s); use --retry-failed to process them "
            "again",
            job.folder,
            counted(len(ids), "video was", "videos were"),
            first_few(ids),
        )


def _replaced(dataset: Dataset, units: Iterable[Unit], folder: Path) -> dict[int, list[str]]:
    """Return the videos with a different size or content than in the unit's shard, by unit."""
    index_of = {shard_path(folder, unit.index): unit.index for unit in units}
    path_of = {video.id: video.path for video in dataset.videos}
    entries = open_folder(folder).entries if index_of else {}
    recorded = [
        (index_of[path], video, entry.mtime_ns)
        for path, entry in entries.items()
        if path in index_of
        for video in entry.record.videos
        if video.id in path_of
    ]

    def is_replaced(task: tuple[int, VideoEntry, int]) -> bool:
        _, video, since_ns = task
        with suppress(VideoDecodeError):  # the file has just been removed
            return not is_same_content(
                path_of[video.id],
                num_bytes=video.source_bytes,
                digest=video.source_digest,
                since_ns=since_ns,
            )
        return False

    found: dict[int, list[str]] = {}
    flags = in_threads(is_replaced, recorded)
    for (index, video, _), flag in zip(recorded, flags, strict=True):
        if flag:
            found.setdefault(index, []).append(video.id)
    return found


def _new_units(
    dataset: Dataset, estimates: Mapping[str, FrameEstimate], scope: Scope, *, first: int
) -> tuple[Unit, ...]:
    """Return units for these videos, numbered from `first`."""
    if scope.frames == "all":
        counts = [(video_id, each.frames) for video_id, each in estimates.items()]
        return plan_units(counts, scope.unit_frames, first=first)
    warn_of_times_beyond(dataset.segments, estimates)
    segments: dict[str, list[Segment]] = {}
    for segment in dataset.segments:
        segments.setdefault(segment.video_id, []).append(segment)
    ranges = {
        video_id: labeled_ranges(segments[video_id], each.rate)
        for video_id, each in estimates.items()
    }
    return pack_ranges(ranges, estimates, scope.unit_frames, first=first)
