"""What a shard and one of its frames hold."""

import json
from pathlib import Path

import numpy as np
import pytest

from orn.inspection.summary import find_frame, frame_to_dict, summarize, summary_facts
from orn.shared.masks import rle
from orn.shared.shards.shard import Shard
from tests.orn.inspection.conftest import HEIGHT, WIDTH, detected, write
from tests.worlds.shards import CUP


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


def test_a_frame_is_found_by_its_number_or_time(shard: Path, tmp_path: Path) -> None:
    opened = Shard(shard)
    frame = find_frame(opened, video_id="kitchen/a", index=7)
    assert frame.seconds == pytest.approx(0.7)
    assert frame.detections.labels.tolist() == [CUP]
    first = find_frame(opened, video_id="b", index=None)
    assert (first.index, first.detections.scores.tolist()) == (5, [0.25])
    assert find_frame(opened, video_id="kitchen/a", index=None, seconds=0.62).index == 6
    one_video = Shard(write(tmp_path / "shard-000001.zarr.zip", {"a": [detected()]}))
    assert find_frame(one_video, video_id=None, index=5).video.id == "a"


def test_json(shard: Path) -> None:
    frame = find_frame(Shard(shard), video_id="kitchen/a", index=5)
    payload = json.loads(json.dumps(frame_to_dict(frame)))
    assert (payload["video"], payload["frame"], payload["seconds"]) == ("kitchen/a", 5, 0.5)
    person, cup = payload["detections"]
    assert person["class"] == "person"
    assert cup["box"] == [1.0, 2.0, 4.0, 4.0]
    assert cup["mask_area"] == 6
    assert cup["class_scores"] == {"cup": 0.75, "background": 0.25}
    mask_HW = rle.decode(cup["mask"]["counts"].encode(), height=HEIGHT, width=WIDTH)
    assert np.argwhere(mask_HW).tolist() == [[2, 1], [2, 2], [2, 3], [3, 1], [3, 2], [3, 3]]
    assert cup["mask"]["size"] == [HEIGHT, WIDTH]
