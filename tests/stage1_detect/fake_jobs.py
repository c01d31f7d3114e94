"""Detect jobs with the detector that finds one object a frame."""

from dataclasses import asdict
from functools import partial

from orn.stage1_detect.detect import run_job
from orn.stage1_detect.plan_detection import plan_job
from tests.worlds.shards import FakeDetector

ENTRY = FakeDetector().entry


def load_fake(device: str) -> FakeDetector:
    """As `load_detector`, on any device."""
    return FakeDetector()


plan_fake = partial(plan_job, settings={"detector": asdict(ENTRY)})
run_fake = partial(run_job, load=load_fake, entry=ENTRY)
