"""Run a detect job and sum it up."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from orn.shared.errors import ConfigError
from orn.shared.jobs.engines import IN_THIS_PROCESS
from orn.shared.jobs.plan import FailedVideo, Unit
from orn.shared.jobs.run import Ran, run_units, save_summary
from orn.shared.jobs.work import Engine
from orn.shared.report import Report, Table, first_rows
from orn.shared.shards.files import shard_path
from orn.shared.shards.schema import DetectorEntry
from orn.shared.shards.shard import Shard
from orn.shared.text import counted
from orn.stage1_detect.pipeline import Detector, DetectWork
from orn.stage1_detect.planning import DETECT, SUMMARY_NAME, DetectJob

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
    load: Callable[[str], Detector],
    entry: DetectorEntry,
    batch: int,
    engine: Engine = IN_THIS_PROCESS,
    fresh: bool = False,
) -> DetectSummary:
    """Detect what the plan has and the folder lacks; the summary is also saved there.

    Args:
        job: what is asked for.
        load: makes the detector on the device of this name.
        entry: what shards record about it.
        batch: most frames that the network sees at once.
        engine: where units are done.
        fresh: whether all shards are made again.

    Raises:
        ConfigError: a shard in the folder was made by another detector.
    """
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
    path = job.folder / SUMMARY_NAME
    if ran.units or not path.exists():  # a run with nothing to do tells nothing
        save_summary(path, {**summary.as_json(), "missing_ids": list(job.dataset.missing)})
    return summary


def _summary(job: DetectJob, ran: Ran, entry: DetectorEntry) -> DetectSummary:
    """What a run has to tell."""
    frames = sum(result.steps for result in ran.results)
    is_whole = job.plan.frames == "all" and entry.frame_rate is None
    shards = {unit: _own_shard(job, unit, entry) for unit in job.units}
    failed = {video.id: video for shard in shards.values() for video in shard.failed}
    return DetectSummary(
        dataset=job.dataset.name,
        out=str(job.folder),
        units=len(job.units),
        skipped_units=len(job.units) - len(ran.units),
        videos=len({video for result in ran.results for video in result.videos}),
        frames=frames,
        detections=sum(shards[unit].num_detections for unit in ran.units),
        total_frames=sum(shard.num_frames for shard in shards.values()),
        total_detections=sum(shard.num_detections for shard in shards.values()),
        seconds=round(ran.seconds, 3),
        frames_per_second=round(frames / ran.seconds, 2) if frames else None,
        failed=tuple(failed.values()),
        short=_short(shards.values()) if is_whole else (),
        missing=len(job.dataset.missing),
        unlabelled=job.unlabelled,
    )


def _own_shard(job: DetectJob, unit: Unit, entry: DetectorEntry) -> Shard:
    shard = Shard(shard_path(job.folder, unit.index))
    if shard.detector != entry:
        raise ConfigError(
            f"{shard.path}: expected a shard of the detector of this job, got one of "
            f"{shard.detector.config_name} with other weights, settings or versions; remove it and "
            "start again, or use --fresh"
        )
    return shard


def report(summary: DetectSummary) -> Report:
    """Return how the job went."""
    videos, pace = counted(summary.videos, "video"), f"{summary.seconds:.1f} s"
    if summary.frames_per_second is not None:
        pace += f", {summary.frames_per_second} frames/s"
    facts = [
        ("data set", summary.dataset),
        ("frames", f"{summary.frames:,} of {videos}, {pace}"),
        ("detections", f"{summary.detections:,}"),
        (
            "shards",
            f"{summary.units:,} in {summary.out}, {summary.skipped_units:,} of them from before",
        ),
    ]
    if summary.missing:
        without = counted(summary.missing, "listed video")
        facts.append(("without a file", f"{without} ({SUMMARY_NAME} has all)"))
    if summary.unlabelled:
        unlabelled = counted(summary.unlabelled, "video")
        facts.append(("left out", f"{unlabelled}, where no segment covers a frame"))
    short = [(each.id, str(each.frames), str(each.header_frames)) for each in summary.short]
    failed = [(video.id, video.reason) for video in summary.failed]
    return Report(
        facts=facts,
        tables=[
            first_rows(
                ("fewer frames", "decoded", "by the header"),
                short,
                most=_NAMED_AT_MOST,
                all_in=SUMMARY_NAME,
            ),
            Table(header=("failed", "reason"), rows=failed),
        ],
        notes=["--retry-failed tries failed videos again."] if failed else [],
    )


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
