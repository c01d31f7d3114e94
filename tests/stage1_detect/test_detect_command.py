"""`orn detect` as a user calls it, with the demo's config and random weights."""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orn.shared.shards.shard import Shard
from tests.weights_server import WeightsServer

pytestmark = pytest.mark.mmdet


@pytest.fixture
def any_detector(orn: Any, world: Path, tmp_path: Path) -> Any:
    """`orn detect` of the small videos, at least detector and device given."""
    places = ("--data", world.parent / "data", "--out", tmp_path / "shards")
    return partial(orn, "detect", world, *places, "--score-threshold", 0.05, "--device", "cpu")


@pytest.fixture
def detect(any_detector: Any, demo_config: Path, demo_checkpoint: Path) -> Any:
    """The same with the demo's config and random weights."""
    return partial(any_detector, "--config", demo_config, "--checkpoint", demo_checkpoint)


@pytest.fixture
def shard_path(tmp_path: Path) -> Path:
    return tmp_path / "shards" / "shard-000000.zarr.zip"


def test_a_job_is_looked_at_begun_and_finished(detect: Any, shard_path: Path) -> None:
    work = detect("--dry-run", "--json").json
    assert (work["videos"], work["frames_to_do"], work["units"]) == (3, 317, 1)
    assert len(work["unreadable"]) == 1
    assert "317" in detect("--dry-run").stdout
    assert not shard_path.parent.exists()

    assert detect("--limit", 1, "--json").json["frames"] == 5
    detector = Shard(shard_path).detector
    assert detector.config_name == "mask_rcnn_demo"
    assert detector.thresholds == {"score": 0.05}
    settings = json.loads((shard_path.parent / "plan.json").read_text())["settings"]
    assert settings.pop("detector")["config_name"] == "mask_rcnn_demo"
    usual = {"rate": None, "unit_frames": 2000, "threads": 1, "device": "cpu"}
    assert settings == usual
    work = detect("--dry-run", "--json").json
    assert (work["units"], work["existing_units"], work["frames_to_do"]) == (2, 1, 312)
    assert 0 < work["estimated_seconds"] < 60 and work["estimated_bytes"] > 10**5

    for skipped, new in ((1, 12), (2, 0)):
        ran = detect("--json", exit_code=3)
        report = ran.json
        assert (report["existing_units"], report["frames"], report["total_frames"]) == (
            skipped, new, 17,
        )  # fmt: skip
        assert [video["id"] for video in report["failed"]] == ["broken"]
        assert "1 of 4 listed videos are missing in" in ran.stderr
    assert (
        detect("--retry-failed", "--dry-run", "--json").json["frames_to_do"] == 156
    )  # of b and broken


def test_a_rate_is_told_detected_and_recorded(detect, shard_path, demo_checkpoint) -> None:
    at_two = partial(detect, "--rate", 2, "--limit", 2)  # of ten frames a second
    work = at_two("--dry-run", "--json").json
    assert (work["rate"], work["frames_to_do"]) == (2, 1 + 3)
    assert at_two("--json").json["frames"] == 4
    shard = Shard(shard_path)
    assert shard.detector.frame_rate == 2
    assert shard.frame_index().tolist() == [0, 0, 5, 10]
    assert " rate is 2.0 as recorded, None" in detect("--limit", 2, exit_code=2).stderr
    message = at_two("--score-threshold", 0.5, "--dry-run", exit_code=2).stderr
    assert "detector.thresholds.score is 0.05 as recorded, 0.5 as requested" in message
    other = shard_path.with_name("other.pth")
    other.write_bytes(demo_checkpoint.read_bytes() + b"another")
    message = at_two("--checkpoint", other, exit_code=2).stderr
    assert "detector.checkpoint_digest is " in message


def test_published_weights_are_fetched_once(
    any_detector: Any,
    weights_host: WeightsServer,
    published_config: Path,
    shard_path: Path,
) -> None:
    (name,) = weights_host.files
    words = ("--config", published_config, "--workers", 1, "--unit-frames", 5)
    fetching = partial(any_detector, *words)
    work = fetching("--dry-run", "--json").json
    assert (work["checkpoint"], work["to_fetch"]) == (None, f"{weights_host.address}/{name}")
    assert weights_host.requests == []
    assert f"downloading {weights_host.address}" in fetching(exit_code=3).stderr
    assert weights_host.requests == [f"/{name}"]
    digest = f"sha256:{hashlib.sha256(weights_host.files[name]).hexdigest()}"
    assert Shard(shard_path).detector.checkpoint_digest == digest
    work = fetching("--dry-run", "--json").json
    assert (Path(work["checkpoint"]).name, work["to_fetch"]) == (name, None)
