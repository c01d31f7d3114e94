"""Run a detect job and summarize it."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from orn.shared.errors import SOME_FAILED
from orn.shared.jobs.engines import IN_THIS_PROCESS
from orn.shared.jobs.plan import FailedVideo
from orn.shared.jobs.run_units import Ran, run_units, save_summary
from orn.shared.jobs.work import Engine
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_format import SUMMARY_NAME, DetectorEntry, shard_path
from orn.shared.text import counted
from orn.shared.text_report import Report, Table
from orn.stage1_detect.detect_unit import Detector, DetectWork
from orn.stage1_detect.planning import DETECT, DetectJob, warn_of_replaced

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSummary:
    """Results of a single run of a detect job."""

    dataset: str
    out: str
    units: int
    """Number of units requested."""
    skipped_units: int
    """Number of requested units whose shard existed before this run."""
    videos: int
    """Number of videos processed without an error in this run."""
    frames: int
    """Number of frames processed in this run."""
    detections: int
    """Number of detections written in this run."""
    empty_frames: int
    """Number of frames without detections in this run."""
    total_frames: int
    """Number of frames in the shards of all requested units."""
    total_detections: int
    """Number of detections in the shards of all requested units."""
    seconds: float
    """Duration of this run, excluding loading."""
    frames_per_second: float | None
    """Throughput of this run; None if there was nothing to do."""
    failed: tuple[FailedVideo, ...]
    """Videos that could not be decoded, including earlier runs of the job."""
    short: tuple[str, ...]
    """Ids of videos with fewer frames than their header declares; empty unless the job processes
    all frames."""
    missing: int
    """Number of listed videos without a file."""
    unlabeled: int
    """Number of videos skipped because no segment covers any of their frames."""

    @property
    def exit_code(self) -> int:
        """Return 0, or 3 if a video failed."""
        return SOME_FAILED if self.failed else 0

    def as_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return asdict(self)


def run_job(
    job: DetectJob,
    *,
    load: Callable[[str], Detector],
    entry: DetectorEntry,
    batch: int,
    engine: Engine = IN_THIS_PROCESS,
    fresh: bool = False,
) -> DetectSummary:
    """Process the units whose shards are missing, and save a summary next to the shards.

    Args:
        job: the planned job.
        load: returns the detector on the named device.
        entry: the detector's entry in the shards.
        batch: maximum number of frames per forward pass.
        engine: engine that runs the units.
        fresh: whether to recompute all shards.
    """
    if not fresh:
        warn_of_replaced(job)
    videos = {video.id: video for video in job.dataset.videos}
    work = DetectWork(load=load, entry=entry, videos=videos, folder=job.folder, batch=batch)
    ran = run_units(
        DETECT,
        job.plan,
        work,
        engine,
        folder=job.folder,
        units=job.units,
        steps_of=lambda unit: unit.frames,
        again=job.again,
        fresh=fresh,
    )
    summary = _summary(job, ran, entry)
    _warn_of_empty_frames(summary)
    path = job.folder / SUMMARY_NAME
    if ran.units or not path.exists():  # keep the summary of the run that made the shards
        save_summary(path, {**summary.as_json(), "missing_ids": list(job.dataset.missing)})
    return summary


def _summary(job: DetectJob, ran: Ran, entry: DetectorEntry) -> DetectSummary:
    frames = sum(result.steps for result in ran.results)
    is_whole = job.plan.frames == "all" and entry.frame_rate is None
    shards = {unit: Shard(shard_path(job.folder, unit.index)) for unit in job.units}
    failed = {video.id: video for shard in shards.values() for video in shard.failed}
    return DetectSummary(
        dataset=job.dataset.name,
        out=str(job.folder),
        units=len(job.units),
        skipped_units=len(job.units) - len(ran.units),
        videos=len({video for result in ran.results for video in result.videos}),
        frames=frames,
        detections=sum(shards[unit].num_detections for unit in ran.units),
        empty_frames=sum(_empty_frames(shards[unit]) for unit in ran.units),
        total_frames=sum(shard.num_frames for shard in shards.values()),
        total_detections=sum(shard.num_detections for shard in shards.values()),
        seconds=round(ran.seconds, 3),
        frames_per_second=round(frames / ran.seconds, 2) if frames else None,
        failed=tuple(failed.values()),
        short=_short(shards.values()) if is_whole else (),
        missing=len(job.dataset.missing),
        unlabeled=job.unlabeled,
    )


def _empty_frames(shard: Shard) -> int:
    return int((np.diff(shard.array("frame_offsets")) == 0).sum())


def _warn_of_empty_frames(summary: DetectSummary) -> None:
    """Warn if most frames have no detections, which wrong weights or a high threshold can cause."""
    if summary.empty_frames > summary.frames / 2:
        logger.warning(
            "%s: %s of %s without detections; check the detector, its weights and "
            "--score-threshold, and look at them with `orn inspect`",
            summary.out,
            f"{summary.empty_frames:,}",
            counted(summary.frames, "frame is", "frames are"),
        )


def report(summary: DetectSummary) -> Report:
    """Return the report of a run."""
    existing = summary.skipped_units
    videos, pace = counted(summary.videos, "video"), f"{summary.seconds:.1f} s"
    if summary.frames_per_second is not None:
        pace += f", {summary.frames_per_second} frames/s"
    facts = [
        ("data set", summary.dataset),
        ("frames", f"{summary.frames:,} of {videos}, {pace}"),
        ("detections", f"{summary.detections:,}"),
        ("shards", f"{summary.units:,} in {summary.out} ({existing:,} already existed)"),
    ]
    if summary.missing:
        without = counted(summary.missing, "listed video")
        facts.append(("missing files", f"{without} (all in {SUMMARY_NAME})"))
    if summary.unlabeled:
        unlabeled = counted(summary.unlabeled, "video")
        facts.append(("skipped", f"{unlabeled} without frames inside a segment"))
    if summary.short:
        number = counted(len(summary.short), "video")
        facts.append(("fewer frames", f"{number}, compared with the header (`orn verify`)"))
    failed = [(video.id, video.reason) for video in summary.failed]
    return Report(
        facts=facts,
        tables=[Table(header=("failed", "reason"), rows=failed)],
        notes=["Use --retry-failed to retry the failed videos."] if failed else [],
    )


def _short(shards: Iterable[Shard]) -> tuple[str, ...]:
    """Return the videos with fewer frames in their shards than their header declares."""
    left: Counter[str] = Counter()
    for video in (video for shard in shards for video in shard.videos):
        left.setdefault(video.id, video.header_frames or 0)
        left[video.id] -= video.frames
    return tuple(video_id for video_id, frames in left.items() if frames > 0)
