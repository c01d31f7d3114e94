"""Runs a detect job and sums it up."""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from orn.shared.environment import describe_environment
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import remove_stale_temporaries, write_text
from orn.shared.jobs.progress import progress
from orn.shared.jobs.termination import terminated_as_interrupted
from orn.shared.manifests.records import Dataset
from orn.shared.shards.plan import PLAN_NAME, Unit, shard_path
from orn.shared.shards.schema import FailedVideo
from orn.shared.shards.shard import Shard
from orn.shared.text_table import counted
from orn.stage1_detect.engines.local import run_here
from orn.stage1_detect.pipeline import Detector, UnitResult, UnitWork
from orn.stage1_detect.planning import SUMMARY_NAME, DetectJob, save_plan, units_to_do

logger = logging.getLogger(__name__)

_NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortVideo:
    """A video that gave fewer frames than its header promises."""

    id: str
    """Id in the data set's manifest."""
    frames: int
    """Frames that could be decoded."""
    header_frames: int
    """Frames by its header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSummary:
    """What a detect job did, and what it could not do."""

    dataset: str
    out: str
    units: int
    """Units that the run was asked for."""
    skipped_units: int
    """Those whose shard was there already."""
    videos: int
    """Videos that this run looked at with success."""
    frames: int
    """Frames that this run looked at."""
    detections: int
    """Detections that this run wrote."""
    total_frames: int
    """Frames in the shards of all these units."""
    total_detections: int
    """Detections in the shards of all these units."""
    seconds: float
    """Time that the units of this run took."""
    frames_per_second: float | None
    """None where this run had nothing to do."""
    failed: tuple[FailedVideo, ...]
    """Videos that could not be decoded, in earlier runs of the job too."""
    short: tuple[ShortVideo, ...]
    """Videos that gave fewer frames than their headers promise; known where all frames of a video
    were asked for."""
    missing: int
    """Listed videos for which there is no file."""
    unlabelled: int
    """Videos left out because no segment covers a frame of them."""

    @property
    def exit_code(self) -> int:
        """0, or 3 if videos failed."""
        return 3 if self.failed else 0

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        return asdict(self)


def run_job(
    job: DetectJob,
    *,
    detector: Detector,
    batch: int,
    run: Callable[[UnitWork], Iterator[UnitResult]] = run_here,
) -> DetectSummary:
    """Detects what the plan has and the folder lacks; the summary is also saved there.

    `run` is that of an engine; the other arguments are as `UnitWork` has them.

    Raises:
        ConfigError: a shard in the folder was made by another detector.
    """
    remove_stale_temporaries(job.folder)
    save_plan(job)
    units = units_to_do(job)
    if len(units) < len(job.units):
        there = len(job.units) - len(units)
        logger.info(
            "%d of %s there already", there, counted(len(job.units), "unit is", "units are")
        )
    work = UnitWork(
        units=units,
        detector=detector,
        videos={video.id: video for video in job.dataset.videos},
        folder=job.folder,
        batch=batch,
    )
    started = time.monotonic()
    try:
        with terminated_as_interrupted():
            results = _watched(job, work, run)
    finally:
        remove_stale_temporaries(job.folder)  # of processes that had to be killed
    summary = _summary(job, units, results, seconds=time.monotonic() - started)
    if units or not (job.folder / SUMMARY_NAME).exists():  # a run with nothing to do tells nothing
        _save(summary, job.dataset, job.folder)
    return summary


def _summary(
    job: DetectJob, units: Sequence[Unit], results: Sequence[UnitResult], *, seconds: float
) -> DetectSummary:
    """What a run that did `units` has to tell."""
    frames = sum(result.frames for result in results)
    shards = [_own_shard(job, unit) for unit in job.units]
    return DetectSummary(
        dataset=job.dataset.name,
        out=str(job.folder),
        units=len(job.units),
        skipped_units=len(job.units) - len(units),
        videos=len({video for result in results for video in result.videos}),
        frames=frames,
        detections=sum(result.detections for result in results),
        total_frames=sum(shard.num_frames for shard in shards),
        total_detections=sum(shard.num_detections for shard in shards),
        seconds=round(seconds, 3),
        frames_per_second=round(frames / seconds, 2) if frames else None,
        failed=_failed(shards),
        short=_short(shards) if job.plan.frames == "all" else (),
        missing=len(job.dataset.missing),
        unlabelled=job.unlabelled,
    )


def _own_shard(job: DetectJob, unit: Unit) -> Shard:
    shard = Shard(shard_path(job.folder, unit.index))
    if shard.detector != job.plan.detector:
        raise ConfigError(
            f"{shard.path}: wanted a shard of the detector in {PLAN_NAME}, found one of "
            f"{shard.detector.config_name} with other weights, settings or versions; remove it and "
            "start again, or use --fresh"
        )
    return shard


def report(summary: DetectSummary) -> list[str]:
    """Lines that tell a person how the job went."""
    rate = "" if summary.frames_per_second is None else f" ({summary.frames_per_second} frames/s)"
    lines = [
        f"{summary.dataset}: {counted(summary.frames, 'frame')} of "
        f"{counted(summary.videos, 'video')}, {counted(summary.detections, 'detection')} in "
        f"{summary.seconds:.1f} s{rate}; {counted(summary.units, 'shard')} in {summary.out}, "
        f"{summary.skipped_units} of them from before"
    ]
    if summary.missing:
        without = counted(summary.missing, "listed video has", "listed videos have")
        lines.append(f"{without} no file ({SUMMARY_NAME} lists them)")
    if summary.unlabelled:
        lines.append(
            f"{counted(summary.unlabelled, 'video')} left out, no segment covers a frame there"
        )
    if summary.short:
        lines.append(
            f"{counted(len(summary.short), 'video')} gave fewer frames than the header promises:"
        )
        lines += [
            f"  {each.id}: {each.frames} of {each.header_frames}"
            for each in summary.short[:_NAMED_AT_MOST]
        ]
        if len(summary.short) > _NAMED_AT_MOST:
            lines.append(f"  ... ({SUMMARY_NAME} lists them all)")
    if summary.failed:
        lines.append(
            f"{counted(len(summary.failed), 'video')} could not be decoded (--retry-failed tries "
            "them again):"
        )
        lines += [f"  {video.id}: {video.reason}" for video in summary.failed]
    return lines


def _watched(
    job: DetectJob, work: UnitWork, run: Callable[[UnitWork], Iterator[UnitResult]]
) -> list[UnitResult]:
    """Runs the units under a progress bar; tells of a failed video once, however many units it is
    in."""
    if not work.units:
        return []
    results: list[UnitResult] = []
    num_units = len(work.units)
    failed: set[str] = set()
    with progress("detect", total=job.frames_of(work.units), unit="frames") as bar:
        bar.advance(0, note=f"unit 0/{num_units}, 0 videos failed")
        for result in run(replace(work, advance=bar.advance)):
            results.append(result)
            for video in result.failed:
                if video.id not in failed:
                    logger.warning("video %s failed: %s", video.id, video.reason)
                failed.add(video.id)
            bar.advance(
                0, note=f"unit {len(results)}/{num_units}, {counted(len(failed), 'video')} failed"
            )
    return results


def _failed(shards: Iterable[Shard]) -> tuple[FailedVideo, ...]:
    """Every video that a shard records as failed, once."""
    found: dict[str, FailedVideo] = {}
    for shard in shards:
        for video in shard.failed:
            found.setdefault(video.id, video)
    return tuple(found.values())


def _short(shards: Iterable[Shard]) -> tuple[ShortVideo, ...]:
    """Every video whose frames in all shards are fewer than its header promises."""
    promised: dict[str, int] = {}
    found: Counter[str] = Counter()
    for shard in shards:
        for video in shard.videos:
            promised[video.id] = video.header_frames or 0
            found[video.id] += video.frames
    return tuple(
        ShortVideo(id=video_id, frames=found[video_id], header_frames=frames)
        for video_id, frames in promised.items()
        if found[video_id] < frames
    )


def _save(summary: DetectSummary, dataset: Dataset, folder: Path) -> None:
    record = summary.as_json() | {
        "missing_ids": list(dataset.missing),
        "environment": describe_environment(),
    }
    write_text(folder / SUMMARY_NAME, json.dumps(record, indent=1) + "\n")
