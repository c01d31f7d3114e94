"""Detect jobs with the detector that finds one object a frame."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from orn.data_manifests.records import Dataset
from orn.shared.jobs.run_units import IN_THIS_PROCESS, run_units
from orn.stage1_detect.detect_unit import DetectWork
from orn.stage1_detect.plan_detection import Scope, plan_job
from orn.stage1_detect.shard_job import summarize_shards
from tests.worlds.shards import FakeDetector

ENTRY = FakeDetector().entry
EVERY_FRAME = Scope()

plan_fake = partial(plan_job, settings={"detector": asdict(ENTRY)})


def run_fake(dataset: Dataset, folder: Path, scope: Scope = EVERY_FRAME) -> dict[str, Any]:
    """Detect in the missing units of a data set, and in changed videos. The summary has the number
    of frames that were `looked_at`."""
    detector = FakeDetector(frame_rate=scope.rate)
    settings = {"detector": asdict(detector.entry)}
    job = plan_job(dataset, folder=folder, scope=scope, settings=settings)
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
