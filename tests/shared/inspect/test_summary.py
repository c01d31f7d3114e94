"""What one shard holds."""

import json
from pathlib import Path

import pytest

from orn.shared.inspect.summary import as_report, summarise, summary_to_dict
from orn.shared.shards.shard import Shard
from tests.shared.inspect.conftest import found, write
from tests.worlds.shards import CUP


def test_counts(shard: Path) -> None:
    summary = summarise(Shard(shard))
    assert summary.frames == 5
    assert summary.frames_without_detections == 2
    assert summary.detections == 4
    assert summary.mean_score == pytest.approx(0.625)
    assert summary.classes == {"cup": 3, "person": 1}
    assert len(summary.never) == 78
    first, second = summary.videos
    assert (first.id, first.frames, first.detections) == ("kitchen/a", 3, 3)
    assert (second.id, second.frames, second.detections) == ("b", 2, 1)
    assert (first.first_frame, first.seconds) == (5, (0.5, 0.7))
    payload = json.loads(json.dumps(summary_to_dict(summary)))
    assert payload["format_version"] == 2
    assert payload["detections_per_frame"] == pytest.approx(0.8)
    assert payload["bytes_per_frame"] == pytest.approx(shard.stat().st_size / 5)
    assert payload["detector"]["thresholds"] == {"score": 0.05}
    assert payload["failed"] == [{"id": "broken\x1b", "reason": "no frame decoded"}]
    assert payload["videos"][1]["id"] == "b"


def test_text(shard: Path) -> None:
    lines = as_report(summarise(Shard(shard))).text().splitlines()
    assert "detections  4, 0.80 a frame, mean score 0.625" in lines
    assert any(line.startswith("78 classes never occur: bicycle, car, ") for line in lines)
    assert "thresholds  score 0.05" in lines
    assert "frames      5, 2 without detections" in lines
    assert "videos      2, 1 failed" in lines
    assert "cup              3" in lines
    assert "kitchen/a  8 x 6       3      5  0.500 - 0.700           3     1.00" in lines
    assert "broken\\x1b  no frame decoded" in lines


def test_what_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "shard-000001.zarr.zip"
    empty = summarise(Shard(write(path, {})))
    assert empty.mean_score is None
    assert summary_to_dict(empty)["bytes_per_frame"] is None
    assert "detections  0, no frames" in as_report(empty).text()
    assert "never occur" not in as_report(empty).text()
    videos = {"a": [found((CUP, 0.5), class_scores=False)]}
    bare = summarise(Shard(write(path, videos, class_scores=False)))
    assert not bare.has_class_scores
    assert "of the kept class only" in as_report(bare).text()


def test_long_lists_are_cut_and_say_so(tmp_path: Path) -> None:
    videos = {f"v{number:02}": [found()] for number in range(25)}
    text = as_report(summarise(Shard(write(tmp_path / "shard-000001.zarr.zip", videos)))).text()
    assert "v19" in text
    assert "v20" not in text
    assert "5 more (--json" in text


def test_what_is_odd_is_listed(tmp_path: Path) -> None:
    many = found(*((CUP, 0.5),) * 3)
    summary = summarise(
        Shard(write(tmp_path / "shard-000001.zarr.zip", {"a": [many, found(), many]}))
    )
    assert "a        6  frame 6 is without detections; " in as_report(summary).text()
    (odd,) = json.loads(json.dumps(summary_to_dict(summary)))["odd"]
    assert (odd["kind"], odd["video_id"], odd["frame"]) == ("empty frames", "a", 6)
