"""`orn bench gpu`: what it measures, and that nothing keeps it from measuring the rest."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.benchmarks.gpu import run_cells
from orn.benchmarks.harness import Setting
from orn.shared.masks.detections import FrameDetections
from tests.worlds.shards import blocks

pytestmark = pytest.mark.mmdet


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    """On the CPU, nothing there yet."""
    (tmp_path / "out").mkdir()
    return Setting(device="cpu", short=True, work=tmp_path, out=tmp_path / "out")


def measure_well(setting: Setting) -> dict[str, Any]:
    with (setting.work / "calls").open("a") as file:
        file.write("called\n")
    return {"headline": "fine", "process": os.getpid()}


def measure_badly(setting: Setting) -> dict[str, Any]:
    raise RuntimeError("CUDA error: an\nillegal access")


def measure_to_death(setting: Setting) -> dict[str, Any]:
    os._exit(7)


def measure_for_ever(setting: Setting) -> dict[str, Any]:
    (setting.work / "begun").touch()
    while True:
        time.sleep(0.01)


def run(setting: Setting, *measures: Any, seconds: float = 120) -> list[tuple[str, str]]:
    chosen = {f"{place}": each for place, each in enumerate(measures)}
    told = run_cells(chosen, setting, deadline=time.monotonic() + seconds)
    return [(line["state"], line["told"]) for line in told]


def test_what_fails_is_written_down_and_the_next_goes_on(setting: Setting) -> None:
    told = run(setting, measure_well, measure_badly, measure_to_death, measure_well)
    error = "RuntimeError: CUDA error: an illegal access"
    failures = [("failed", error), ("failed", "its process ended with 7")]
    assert told == [("done", "fine"), *failures, ("done", "fine")]
    names = {"0.json", "1.failed.json", "2.failed.json", "3.json"}
    assert {path.name for path in setting.out.iterdir()} == names
    first, last = (json.loads((setting.out / f"{n}.json").read_text()) for n in (0, 3))
    assert first["process"] != last["process"] != os.getpid()
    assert {"cell", "wall_seconds", "device", "short", "machine"} <= first.keys()
    failed = json.loads((setting.out / "1.failed.json").read_text())
    assert failed["reason"] == error and "measure_badly" in failed["trace"]

    told = run(setting, measure_well, measure_well)  # the second one failed before
    assert told == [("there", "fine"), ("done", "fine")]
    assert not (setting.out / "1.failed.json").exists()
    assert (setting.work / "calls").read_text() == "called\n" * 3


def test_the_time_ends_what_is_under_way(setting: Setting) -> None:
    told = run(setting, measure_for_ever, measure_well, seconds=0.2)
    assert told == [("failed", "the time was over before it was done"), ("no time", "")]
    assert {path.name for path in setting.out.iterdir()} == {"0.failed.json"}


def test_names_of_measurements(orn: Any, tmp_path: Path) -> None:
    from orn.benchmarks.gpu import cells

    on_card = [*cells("cuda:0", short=False)]
    assert on_card[:3] == ["machine", "equality-fp32", "equality-fp32-fast"]
    assert {"frames-loop", "frames-fp16-16", "frames-fp16-heads-fast-8", "stages-fp32"} < {*on_card}
    assert on_card[-1] == "two-processes"
    assert not any("fp16" in cell or "tf32" in cell for cell in cells("cpu", short=True))
    words = ("bench", "gpu", "--out", tmp_path / "o", "--device", "cpu", "--only", "stagez")
    assert "--only stagez: " in orn(*words, exit_code=2).stderr


def detections(*found: tuple[float, ...]) -> FrameDetections:
    """Score and full box of objects of one class in a frame of 20 x 30."""
    return blocks(*((0, *each) for each in found), height=20, width=30, class_scores=False)


def test_detections_are_compared_with_those_that_they_belong_to() -> None:
    from orn.benchmarks.gpu_equality import compare_frames

    theirs = detections((0.9, 0, 0, 10, 10), (0.8, 15, 5, 25, 15), (0.5, 0, 12, 4, 16))
    same = compare_frames([theirs], [theirs])
    assert (same["matched_share"], same["equal_mask_share"], same["least_mask_iou"]) == (1, 1, 1)
    assert same["largest_box_pixels"] == same["largest_score"] == 0
    ours = detections((0.75, 15, 5, 25, 14), (0.9, 0, 0, 10, 10))
    found = compare_frames([ours], [theirs])
    assert (found["detections"], found["reference_detections"]) == (2, 3)
    assert found["matched_share"] == pytest.approx(2 / 3)
    assert found["largest_box_pixels"] == 1
    assert found["largest_score"] == pytest.approx(0.05)
    assert found["boxes_within_0.01_px"] == found["equal_mask_share"] == 0.5
    assert found["least_mask_iou"] == pytest.approx(0.9)
    other_class = replace(ours, labels=np.ones(2, dtype=np.uint16))
    assert compare_frames([other_class], [theirs])["matched_share"] == 0
    assert compare_frames([ours], [detections()])["matched_share"] == 1


@pytest.mark.slow
def test_everything_runs_on_a_cpu(orn: Any, tmp_path: Path) -> None:
    words = ("bench", "gpu", "--device", "cpu", "--short", "--minutes", 60, "--json")
    told = {line["name"]: line for line in orn(*words, "--out", tmp_path).json}
    assert {line["state"] for line in told.values()} == {"done"}
    records = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in told}
    for way in ("fp32", "fp32-fast"):
        same = records[f"equality-{way}"]
        assert same["reference_detections"] > 10
        assert same["boxes_within_0.01_px"] == same["scores_within_0.0001"] == 1
        parts = records[f"stages-{way}"]["seconds_a_frame"]
        assert {"decode", "prepare", "proposals", "mask head", "paste+encode", "write"} < {*parts}
    assert records["resume"]["equal"]
    assert records["loader"]["cores_for_fastest_step"] > 0
    assert records["frames-loop"]["frames_per_second"] > 0
