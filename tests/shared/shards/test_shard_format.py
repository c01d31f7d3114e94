"""Attributes: JSON and back, and refusals in the right order."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from orn.shared.errors import ShardFormatError
from orn.shared.jobs.plan import FailedVideo
from orn.shared.shards.shard_format import ShardAttributes, read_attributes
from tests.worlds.shards import DETECTOR, video_entry


@pytest.fixture
def attributes() -> ShardAttributes:
    video = video_entry("o/p — 7", height=120, width=160, rate=12.0, frames=16)
    failed = (FailedVideo(id="b", reason="no frame can be decoded"),)
    return ShardAttributes(videos=(video,), failed=failed, detector=DETECTOR, score_kind="softmax")


def group(attributes: dict[str, Any]) -> bytes:
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    return json.dumps(document).encode()


def test_json_round_trip(attributes: ShardAttributes) -> None:
    assert read_attributes(group(attributes.to_json()), source="s") == attributes


VIDEO = asdict(video_entry("v", height=2, width=3, rate=1.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "clips", "format_version": 9}, "'object-detections', got 'clips'"),
        ({"format_version": 1, "videos": 3}, "format version 2, got 1; .*--fresh"),
        ({"videos": [{"id": "a"}]}, r"videos\[0\]\.height'"),
        ({"videos": [VIDEO | {"width": 8193}]}, r"videos\[0\]\.width.*8193"),
        ({"videos": [VIDEO] * 2}, "distinct videos"),
        ({"detector": asdict(DETECTOR) | {"class_names": []}}, "class_names"),
    ],
)
def test_what_is_wrong_is_refused(
    attributes: ShardAttributes, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ShardFormatError, match=f"^s: .*{message}"):
        read_attributes(group(attributes.to_json() | changes), source="s")
