"""What one shard holds."""

import json
from pathlib import Path

import pytest

from orn.inspect.summary import as_report, summarize, summary_to_dict
from orn.shared.shards.shard import Shard


def test_counts(shard: Path) -> None:
    summary = summarize(Shard(shard))
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
    assert dict(as_report(summary).facts)["frame rate"] == "every frame"
