"""Detect jobs with the detector that finds one object a frame."""

from dataclasses import asdict
from functools import partial

from orn.stage1_detect.detect import write_missing_shards
from orn.stage1_detect.plan_detection import plan_job
from tests.worlds.shards import FakeDetector

ENTRY = FakeDetector().entry


def load_fake(device: str) -> FakeDetector:
    """As `load_detector`, on any device."""
    return FakeDetector()


plan_fake = partial(plan_job, settings={"detector": asdict(ENTRY)})
run_fake = partial(write_missing_shards, load=load_fake, entry=ENTRY)
