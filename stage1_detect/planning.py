"""What a detect job consists of, found out before anything is detected."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orn.shared.errors import ConfigError
from orn.shared.jobs.plan import (
    PLAN_NAME,
    UNKNOWN_FRAMES,
    ManifestFile,
    Plan,
    Unit,
    UnitPart,
    plan_units,
)
from orn.shared.jobs.run import Kind
from orn.shared.manifests.headers import UNREADABLE, read_headers, warn_of_times_beyond
from orn.shared.manifests.records import Dataset, Segment
from orn.shared.shards.files import SHARD_FILES, shard_path
from orn.shared.shards.index import INDEX_NAME
from orn.shared.shards.shard import Shard
from orn.shared.text import counted
from orn.shared.video.read import FrameEstimate
from orn.stage1_detect.labelled import check_segments, labelled_ranges, pack_ranges, range_frames
from orn.stage1_detect.request import Scope

logger = logging.getLogger(__name__)

SUMMARY_NAME = "detect.json"
IMPORT_SUMMARY_NAME = "import.json"
"""What `orn import-objects` leaves instead."""
DETECT = Kind(
    command="orn detect or orn import-objects",
    task="detect",
    steps="frames",
    files=SHARD_FILES,
    beside=(SUMMARY_NAME, IMPORT_SUMMARY_NAME, INDEX_NAME),
)
"""What a detect job is; its folder may have been one of an import."""
_NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectJob:
    """A plan with what is needed to carry it out."""

    dataset: Dataset
    """The data set."""
    folder: Path
    """Where the shards go."""
    plan: Plan
    """The units, and what they are made with; may have more than this run is asked for."""
    units: tuple[Unit, ...]
    """Those of the plan that have a video this run is asked for."""
    again: tuple[Unit, ...]
    """Those of `units` whose shard is made again, since it records a failed video."""
    to_do: tuple[Unit, ...]
    """Those of `units` whose shard is missing or made again."""
    estimates: Mapping[str, FrameEstimate]
    """Length of each video that was not planned before, in frames that are looked at."""
    unlabelled: int = 0
    """Videos left out because no segment covers a frame of them."""

    def lengths(self) -> dict[str, FrameEstimate]:
        """Return `estimates` and the lengths of the planned videos of the units to do, by their
        headers; those without a file cannot be read."""
        wanted = _videos_of(self.to_do) - self.estimates.keys()
        planned = read_headers([video for video in self.dataset.videos if video.id in wanted])
        gone = sorted(wanted - planned.keys())
        planned = _at_rate(planned, self.plan.settings.get("rate"))
        return {**self.estimates, **dict.fromkeys(gone, UNREADABLE), **planned}


def frames_of(unit: Unit, lengths: Mapping[str, FrameEstimate]) -> float:
    """Return about how many frames a unit has by the lengths that its videos have now."""
    return sum(_part_frames(part, lengths[part.video_id]) for part in unit.parts)


def _part_frames(part: UnitPart, estimate: FrameEstimate) -> float:
    if part.ranges:
        return sum(range_frames(each, estimate) for each in part.ranges)
    stop = part.stop or estimate.frames or part.start + UNKNOWN_FRAMES
    return max(0, stop - part.start)


def warn_of_missing(dataset: Dataset) -> None:
    """Warn about listed videos without a file."""
    num_listed = len(dataset.videos) + len(dataset.missing)
    if dataset.missing:
        logger.warning(
            "%s: %d of %s not under %s (%s); going on without them",
            dataset.name,
            len(dataset.missing),
            counted(num_listed, "listed video is", "listed videos are"),
            dataset.root,
            _examples(dataset.missing),
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
    """Return the job by the plan of the folder, where it has one, with new units for videos that
    are not in it; writes nothing.

    Units that are planned stay as they are, so that what is done stays done when the limit is
    lifted or videos have arrived.

    Args:
        dataset: the data set.
        folder: where the shards go.
        data_root: where the data set lies, for the plan.
        scope: which frames are wanted.
        settings: what else the shards depend on, such as the detector; what is left open here, or
            by the plan in the folder, is not compared.
        fresh: plan as if the folder were empty.
        retry_failed: do units again whose shard records a failed video.

    Raises:
        ConfigError: the folder has the shards of another job, or of none; or no video is labelled
            and only those are wanted.
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
            f"data set {dataset.name!r}: no segment of its label table lies in a video that is "
            "there; leave --frames labelled out"
        )
    known = set(plan.video_ids)
    headers = read_headers([video for video in videos if video.id not in known])
    _warn_of_slower(headers, scope.rate)
    estimates = _at_rate(headers, scope.rate)
    plan = replace(plan, units=(*units, *_new_units(dataset, estimates, scope, first=len(units))))
    asked = {video.id for video in videos}
    if scope.limit is None:
        asked |= known - {video.id for video in dataset.videos}  # their files are gone
    units = tuple(u for u in plan.units if any(part.video_id in asked for part in u.parts))
    missing = units if fresh else SHARD_FILES.missing(units, folder)
    again = _failed(set(units) - set(missing), folder) if retry_failed else ()
    to_do = (*missing, *again)
    _warn_of_gone(dataset, to_do, folder)
    return DetectJob(
        dataset=dataset,
        folder=folder,
        plan=plan,
        units=units,
        again=again,
        to_do=to_do,
        estimates=estimates,
        unlabelled=len(dataset.videos[: scope.limit]) - len(videos),
    )


def _at_rate(headers: Mapping[str, FrameEstimate], rate: float | None) -> dict[str, FrameEstimate]:
    """Return the lengths of videos in frames that are looked at."""
    return {video_id: each.at_rate(rate) for video_id, each in headers.items()}


def _warn_of_slower(headers: Mapping[str, FrameEstimate], rate: float | None) -> None:
    """Warn of videos that have fewer frames a second than are asked for."""
    slower = [name for name, each in headers.items() if each.frames and each.rate < (rate or 0)]
    if slower:
        logger.warning(
            "--rate %g: %s fewer frames a second (%s), of which each is looked at once",
            rate,
            counted(len(slower), "video has", "videos have"),
            _examples(slower),
        )


def _failed(units: Iterable[Unit], folder: Path) -> tuple[Unit, ...]:
    """Return the units whose shard records a failed video, in their order."""
    done = sorted(units, key=lambda unit: unit.index)
    failed = tuple(unit for unit in done if Shard(shard_path(folder, unit.index)).failed)
    logger.info(
        "%s done again",
        counted(len(failed), "unit with failed videos is", "units with failed videos are"),
    )
    return failed


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
        video_id: labelled_ranges(segments[video_id], each.rate)
        for video_id, each in estimates.items()
    }
    return pack_ranges(ranges, estimates, scope.unit_frames, first=first)


def _videos_of(units: Iterable[Unit]) -> set[str]:
    return {part.video_id for unit in units for part in unit.parts}


def _warn_of_gone(dataset: Dataset, units: Iterable[Unit], folder: Path) -> None:
    """Warn of the videos of some units that have no file, and will fail."""
    gone = sorted(_videos_of(units) - {video.id for video in dataset.videos})
    if gone:
        logger.warning(
            "%s: %s not done and not under %s any more (%s); they will be recorded as failed; when "
            "they are back, --retry-failed detects them",
            folder / PLAN_NAME,
            counted(len(gone), "video of it is", "videos of it are"),
            dataset.root,
            _examples(gone),
        )


def _examples(ids: Sequence[str]) -> str:
    more = ", ..." if len(ids) > _NAMED_AT_MOST else ""
    return f"such as {', '.join(ids[:_NAMED_AT_MOST])}{more}"
