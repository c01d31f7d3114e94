"""What a detect job consists of, found out before anything is detected."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigError, DataRootError, VideoDecodeError
from shared.manifests.records import Dataset, Video
from shared.progress import progress
from shared.shards.plan import PLAN_NAME, Plan, Unit, UnitPart, plan_units, shard_path
from shared.shards.schema import DetectorEntry
from shared.video import probe

__all__ = [
    "SUMMARY_NAME",
    "DetectJob",
    "check_videos",
    "clear_folder",
    "estimate_frames",
    "limit_videos",
    "plan_job",
    "units_to_do",
]

logger = logging.getLogger(__name__)

SUMMARY_NAME = "detect.json"
_SHARDS = "shard-*.zarr.zip"
_NAMED_AT_MOST = 5
_UNKNOWN_FRAMES = 300
"""What a video of unknown length counts for in the progress bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectJob:
    """A plan with what is needed to carry it out."""

    dataset: Dataset
    """The data set; `videos` are those of the plan."""
    folder: Path
    """Where the shards go."""
    plan: Plan
    """The units, and the detector that they are for."""
    estimates: Mapping[str, int | None]
    """Frames of each video as its header has them, None where it is silent; of the videos whose
    units are still to do at least."""

    def frames_of(self, units: Iterable[Unit]) -> int:
        """About how many frames the units have."""
        return sum(_part_frames(part, self.estimates) for unit in units for part in unit.parts)


def limit_videos(dataset: Dataset, limit: int | None) -> Dataset:
    """The data set with its first `limit` videos only; all of them for None."""
    if limit is None:
        return dataset
    return dataclasses.replace(dataset, videos=dataset.videos[:limit])


def check_videos(dataset: Dataset) -> None:
    """Warns about listed videos without a file.

    Raises:
        DataRootError: none of them has one.
    """
    num_listed = len(dataset.videos) + len(dataset.missing)
    if not dataset.videos:
        raise DataRootError(
            f"data set {dataset.name!r}: none of its {num_listed} listed videos is under "
            f"{dataset.root}; {_examples('looked for', dataset.missing)}"
        )
    if dataset.missing:
        logger.warning(
            "%s: %d of %d listed videos are not under %s (%s); going on without them",
            dataset.name,
            len(dataset.missing),
            num_listed,
            dataset.root,
            _examples("such as", dataset.missing),
        )


def plan_job(dataset: Dataset, *, entry: DetectorEntry, folder: Path) -> DetectJob:
    """The job with the plan of the folder, where it has one that fits, else with a new one, saved.

    Raises:
        ConfigError: the folder has the shards of another job, or of none.
    """
    saved = Plan.load(folder)
    if saved is None and any(folder.glob(_SHARDS)):
        raise ConfigError(
            f"{folder}: has shards but no {PLAN_NAME}, so they are of no job that could go on; "
            "use --fresh to start over, or another --out"
        )
    ids = [video.id for video in dataset.videos]
    if saved is not None and _video_ids(saved.units) == ids:
        units = saved.units  # the same videos: those that are done need not be opened once more
        remaining = set(_video_ids(units_to_do(saved, folder)))
        estimates = estimate_frames([v for v in dataset.videos if v.id in remaining])
    else:
        estimates = estimate_frames(dataset.videos)
        units = plan_units(list(estimates.items()))
    plan = Plan(dataset=dataset.name, frames="all", detector=entry, units=units)
    if saved is None:
        plan.save(folder)
    else:
        saved.check_same(plan, folder)
    return DetectJob(dataset=dataset, folder=folder, plan=plan, estimates=estimates)


def units_to_do(plan: Plan, folder: Path) -> tuple[Unit, ...]:
    """The units whose shard is not in the folder."""
    return tuple(unit for unit in plan.units if not shard_path(folder, unit.index).exists())


def clear_folder(folder: Path) -> None:
    """Removes the plan, the summary and the shards of an earlier job, and nothing else."""
    for path in [folder / PLAN_NAME, folder / SUMMARY_NAME, *folder.glob(_SHARDS)]:
        path.unlink(missing_ok=True)


def estimate_frames(videos: Sequence[Video]) -> dict[str, int | None]:
    """Frames of each video going by its header; None where it cannot be told."""
    estimates: dict[str, int | None] = {}
    if not videos:
        return estimates
    with progress("look at headers", total=len(videos), unit="videos") as bar:
        for video in videos:
            try:
                estimates[video.id] = probe(video.path, rate=video.rate).estimated_frames
            except VideoDecodeError:
                estimates[video.id] = None  # its unit will find out and record it
            bar.advance()
    return estimates


def _video_ids(units: Iterable[Unit]) -> list[str]:
    """Ids of the videos of the units in their order, each once."""
    return list(dict.fromkeys(part.video_id for unit in units for part in unit.parts))


def _part_frames(part: UnitPart, estimates: Mapping[str, int | None]) -> int:
    stop = part.stop or estimates[part.video_id] or part.start + _UNKNOWN_FRAMES
    return max(0, stop - part.start)


def _examples(words: str, ids: tuple[str, ...]) -> str:
    more = ", ..." if len(ids) > _NAMED_AT_MOST else ""
    return f"{words} {', '.join(ids[:_NAMED_AT_MOST])}{more}"
