"""Detect jobs with the detector that finds one object a frame."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from orn.data_manifests.records import Dataset
from orn.shared.jobs.run_units import IN_THIS_PROCESS, Job, run_units
from orn.stage1_detect.detect_config import DetectConfig
from orn.stage1_detect.detect_unit import DetectWork
from orn.stage1_detect.plan_detection import plan_job
from orn.stage1_detect.shard_job import summarize_shards
from tests.worlds.shards import FakeDetector

ENTRY = FakeDetector().entry


def plan_frames(
    dataset: Dataset, folder: Path, settings: dict[str, Any] | None = None, **options: Any
) -> Job:
    """Plan a job for the frames that options of `orn detect` select."""
    config = DetectConfig(dataset=str(dataset.manifest or dataset.name), **options)
    return plan_job(dataset, config, folder=folder, settings=settings or {})


def plan_fake(dataset: Dataset, folder: Path, **options: Any) -> Job:
    """Plan a job with the fake detector."""
    return plan_frames(dataset, folder, {"detector": asdict(ENTRY)}, **options)


def run_fake(dataset: Dataset, folder: Path, **options: Any) -> dict[str, Any]:
    """Detect in the missing units of a data set, and in changed videos. The summary has the number
    of frames that were `looked_at`."""
    detector = FakeDetector(frame_rate=options.get("rate"))
    settings = {"detector": asdict(detector.entry)}
    job = plan_frames(dataset, folder, settings, **options)
    videos = {video.id: video for video in dataset.videos}
    work = DetectWork(
        load=lambda device: detector,
        entry=detector.entry,
        videos=videos,
        folder=folder,
        kept=job.kept,
    )
    result = run_units(job, work, IN_THIS_PROCESS, task="detect", steps="frames")
    return summarize_shards(job, result, looked_at=sum(detector.batches))
