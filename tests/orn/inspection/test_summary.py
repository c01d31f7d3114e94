"""What a shard holds."""

import json
from pathlib import Path

from orn.inspection.summary import summarize, summary_facts
from orn.shared.shards.shard import Shard


def test_counts(shard: Path) -> None:
    summary = json.loads(json.dumps(summarize(Shard(shard))))
    assert (summary["frames"], summary["frames_without_detections"]) == (5, 2)
    assert summary["detections"] == 4
    assert summary["classes"] == {"cup": 3, "person": 1}
    first, second = summary["videos"]
    assert (first["id"], first["frames"], first["detections"]) == ("kitchen/a", 3, 3)
    assert (second["id"], second["frames"], second["detections"]) == ("b", 2, 1)
    assert (first["first_frame"], first["seconds"]) == (5, [0.5, 0.7])
    assert summary["format_version"] == 2
    assert summary["detector"]["thresholds"] == {"score": 0.05}
    assert summary["failed"] == [{"id": "broken\x1b", "reason": "no frame decoded"}]
    assert dict(summary_facts(summary))["frame rate"] == "every frame"
