"""Detect jobs with the detector that finds one object a frame."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from orn.data_manifests.records import Dataset
from orn.stage1_detect.detect import write_missing_shards
from orn.stage1_detect.detect_request import Scope
from orn.stage1_detect.plan_detection import plan_job
from tests.worlds.shards import FakeDetector

ENTRY = FakeDetector().entry
EVERY_FRAME = Scope()

plan_fake = partial(plan_job, settings={"detector": asdict(ENTRY)})


def run_fake(dataset: Dataset, folder: Path, scope: Scope = EVERY_FRAME) -> dict[str, Any]:
    """Detect in the missing units of a data set."""
    detector = FakeDetector(frame_rate=scope.rate)
    settings = {"detector": asdict(detector.entry)}
    job = plan_job(dataset, folder=folder, scope=scope, settings=settings)
    return write_missing_shards(
        job, dataset, scope, load=lambda device: detector, entry=detector.entry
    )
