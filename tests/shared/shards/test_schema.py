"""Attributes: JSON and back, and refusals in the right order."""

import json
from typing import Any

import pytest

from orn.shared.errors import ShardFormatError
from orn.shared.shards.schema import FailedVideo, ShardAttributes
from tests.worlds.shards import DETECTOR, video_entry


@pytest.fixture
def attributes() -> ShardAttributes:
    video = video_entry("o/p — 7", height=120, width=160, rate=12.0, frames=16)
    failed = (FailedVideo(id="b", reason="no frame can be decoded"),)
    return ShardAttributes(videos=(video,), failed=failed, detector=DETECTOR, class_scores=True)


def test_json_round_trip(attributes: ShardAttributes) -> None:
    document = json.loads(json.dumps(attributes.to_json()))
    assert ShardAttributes.from_json(document, source="s") == attributes


def test_the_document_is_as_documented(attributes: ShardAttributes) -> None:
    document = attributes.to_json()
    assert list(document) == [
        *("format", "format_version", "class_scores", "class_names"),
        *("detector", "videos", "failed"),
    ]
    assert (document["format"], document["format_version"]) == ("object-detections", 1)
    assert document["class_names"][:2] == ["person", "bicycle"]
    assert "class_names" not in document["detector"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "clips", "format_version": 9}, "'object-detections', found 'clips'"),
        ({"format_version": 2, "videos": 3}, "format version 1, found 2; read it with"),
        ({"videos": [{"id": "a"}]}, r"'videos\[0\]\.height'"),
        ({"failed": [{"id": "a", "reason": "b", "more": 1}]}, r"'failed\[0\].more'"),
        ({"class_names": ["person"]}, "80 class names, found 1"),
    ],
)
def test_what_is_wrong_is_refused(
    attributes: ShardAttributes, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ShardFormatError, match=f"^s: .*{message}"):
        ShardAttributes.from_json(attributes.to_json() | changes, source="s")


def test_a_grid_of_too_many_pixels_is_refused(attributes: ShardAttributes) -> None:
    document = attributes.to_json()
    document["videos"][0] |= {"width": 65535, "height": 65535}
    with pytest.raises(ShardFormatError, match="at most 268,435,456 pixels"):
        ShardAttributes.from_json(document, source="s")
