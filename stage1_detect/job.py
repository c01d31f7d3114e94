"""Runs a detect job and sums it up."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from shared.atomic_file import remove_stale_temporaries, write_text
from shared.environment import describe_environment
from shared.manifests.records import Dataset
from shared.progress import progress
from shared.shards.plan import Unit, shard_path
from shared.shards.schema import FailedVideo
from shared.shards.shard import Shard
from stage1_detect.detector import Detector
from stage1_detect.engines.local import run_units
from stage1_detect.engines.processes import run_units_in_processes
from stage1_detect.pipeline import UnitResult
from stage1_detect.planning import SUMMARY_NAME, DetectJob, units_to_do

__all__ = ["DetectSummary", "report", "run_job"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSummary:
    """What a detect job did, and what it could not do."""

    dataset: str
    out: str
    units: int
    """Units of the plan."""
    skipped_units: int
    """Those whose shard was there already."""
    videos: int
    """Videos that this run looked at with success."""
    frames: int
    """Frames that this run looked at."""
    detections: int
    """Detections that this run wrote."""
    total_frames: int
    """Frames in all shards of the job."""
    total_detections: int
    """Detections in all shards of the job."""
    seconds: float
    """Time that the units of this run took."""
    frames_per_second: float | None
    """None where this run had nothing to do."""
    failed: tuple[FailedVideo, ...]
    """Videos that could not be decoded, in earlier runs of the job too."""
    missing: int
    """Listed videos for which there is no file."""

    @property
    def exit_code(self) -> int:
        """0, or 3 if videos failed."""
        return 3 if self.failed else 0

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return fields | {"failed": [{"id": v.id, "reason": v.reason} for v in self.failed]}


def run_job(
    job: DetectJob,
    *,
    detector: Detector,
    batch: int,
    load: Callable[[], Detector] | None = None,
    workers: int = 1,
) -> DetectSummary:
    """Detects what the plan has and the folder lacks; the summary is also saved there.

    Args:
        job: what to do.
        detector: what finds the objects.
        batch: most frames that the network sees at once.
        load: makes the same detector in another process; needed for more than one worker.
        workers: processes that detect, each a unit at a time.
    """
    remove_stale_temporaries(job.folder)
    units = units_to_do(job.plan, job.folder)
    skipped = len(job.plan.units) - len(units)
    if skipped:
        logger.info("%d of %d units are there already", skipped, len(job.plan.units))
    started = time.monotonic()
    common: dict[str, Any] = {
        "videos": {video.id: video for video in job.dataset.videos},
        "folder": job.folder,
        "batch": batch,
    }
    if load is not None and workers > 1 and len(units) > 1:
        run = partial(run_units_in_processes, units, load=load, workers=workers, **common)
    else:
        run = partial(run_units, units, detector=detector, **common)
    results = _watched(job, units, run)
    seconds = time.monotonic() - started
    frames = sum(result.frames for result in results)
    shards = [Shard(shard_path(job.folder, unit.index)) for unit in job.plan.units]
    summary = DetectSummary(
        dataset=job.dataset.name,
        out=str(job.folder),
        units=len(job.plan.units),
        skipped_units=skipped,
        videos=len({video for result in results for video in result.videos}),
        frames=frames,
        detections=sum(result.detections for result in results),
        total_frames=sum(shard.num_frames for shard in shards),
        total_detections=sum(shard.num_detections for shard in shards),
        seconds=round(seconds, 3),
        frames_per_second=round(frames / seconds, 2) if frames else None,
        failed=_failed(shards),
        missing=len(job.dataset.missing),
    )
    if units or not (job.folder / SUMMARY_NAME).exists():  # a run with nothing to do tells nothing
        _save(summary, job.dataset, job.folder)
    return summary


def report(summary: DetectSummary) -> list[str]:
    """Lines that tell a person how the job went."""
    rate = "" if summary.frames_per_second is None else f" ({summary.frames_per_second} frames/s)"
    lines = [
        f"{summary.dataset}: {summary.frames} frames of {summary.videos} videos, "
        f"{summary.detections} detections in {summary.seconds:.1f} s{rate}; {summary.units} shards "
        f"in {summary.out}, {summary.skipped_units} of them from before"
    ]
    if summary.missing:
        lines.append(f"{summary.missing} listed videos have no file ({SUMMARY_NAME} lists them)")
    if summary.failed:
        lines.append(f"{len(summary.failed)} videos could not be decoded:")
        lines += [f"  {video.id}: {video.reason}" for video in summary.failed]
    return lines


def _watched(
    job: DetectJob, units: tuple[Unit, ...], run: Callable[..., Iterator[UnitResult]]
) -> list[UnitResult]:
    """Runs the units under a progress bar."""
    if not units:
        return []
    results: list[UnitResult] = []
    with progress("detect", total=job.frames_of(units), unit="frames") as bar:
        for result in run(advance=bar.advance):
            results.append(result)
            failures = sum(len(one.failed) for one in results)
            bar.advance(0, note=f"unit {len(results)}/{len(units)}, {failures} videos failed")
            for video in result.failed:
                logger.warning("video %s failed: %s", video.id, video.reason)
    return results


def _failed(shards: Iterable[Shard]) -> tuple[FailedVideo, ...]:
    """Every video that a shard records as failed, once."""
    found: dict[str, FailedVideo] = {}
    for shard in shards:
        for video in shard.failed:
            found.setdefault(video.id, video)
    return tuple(found.values())


def _save(summary: DetectSummary, dataset: Dataset, folder: Path) -> None:
    record = summary.as_json() | {
        "missing_ids": list(dataset.missing),
        "environment": describe_environment(),
    }
    write_text(folder / SUMMARY_NAME, json.dumps(record, indent=1) + "\n")
