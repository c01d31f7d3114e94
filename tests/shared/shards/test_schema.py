"""Attributes: JSON and back, and refusals in the right order."""

import json
from typing import Any

import pytest

from orn.shared.errors import ShardFormatError
from orn.shared.shards.schema import DetectorEntry, FailedVideo, ShardAttributes, VideoEntry


@pytest.fixture
def attributes(detector: DetectorEntry) -> ShardAttributes:
    video = VideoEntry(
        id="o/p — 7",
        height=120,
        width=160,
        frames=16,
        header_frames=None,
        rate=12.0,
        source_bytes=31_337,
        source_digest="sha256:04",
    )
    failed = (FailedVideo(id="b", reason="no frame can be decoded"),)
    return ShardAttributes(videos=(video,), failed=failed, detector=detector, class_scores=True)


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
        (
            {"format": "clips", "format_version": 9},
            "s: wanted format 'object-detections', found 'clips'",
        ),
        ({"format_version": 2, "videos": 3}, "s: wanted format version 1, found 2; read it with"),
        (
            {"videos": [{"id": "a"}]},
            "s: attributes do not follow format version 1 .*missing key 'videos\\[0\\]\\.height'",
        ),
        ({"videos": None}, "s: attributes do not follow format version 1"),
        ({"detector": {"name": "x"}}, "s: attributes do not follow format version 1"),
        ({"failed": [{"id": "a", "reason": "b", "more": 1}]}, r"unknown key 'failed\[0\].more'"),
    ],
)
def test_format_and_version_are_refused_first(
    attributes: ShardAttributes, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ShardFormatError, match=message):
        ShardAttributes.from_json(attributes.to_json() | changes, source="s")


@pytest.mark.parametrize("name", ["class_scores", "class_names", "detector", "videos", "failed"])
def test_each_attribute_is_needed(attributes: ShardAttributes, name: str) -> None:
    document = attributes.to_json()
    del document[name]
    with pytest.raises(ShardFormatError, match=rf"missing key '(detector\.)?{name}'"):
        ShardAttributes.from_json(document, source="s")


VIDEO: dict[str, Any] = {
    "id": "a",
    "height": 12,
    "width": 17,
    "frames": 3,
    "header_frames": None,
    "rate": 10,
    "source_bytes": 5,
    "source_digest": "sha256:03",
}
DEEP: Any = []
for _ in range(5000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"videos": [VIDEO | {"height": "12"}]}, "height: wanted a whole number, found '12'"),
        ({"videos": [VIDEO | {"height": 0}]}, "height: wanted at least 1, found 0"),
        ({"videos": [VIDEO | {"width": 2**40}]}, "width: wanted less than 65536"),
        ({"videos": [VIDEO | {"width": 65535, "height": 65535}]}, "at most 268,435,456 pixels"),
        ({"videos": [VIDEO | {"frames": -1}]}, "frames: wanted at least 0, found -1"),
        ({"videos": [VIDEO | {"frames": 10**30}]}, "frames: wanted"),
        ({"videos": [VIDEO | {"rate": 0}]}, "rate: wanted more than 0, found 0"),
        ({"videos": [VIDEO | {"rate": float("nan")}]}, "rate: wanted a finite number, found nan"),
        ({"videos": [VIDEO | {"id": 7}]}, "id: wanted a string, found 7"),
        ({"videos": [VIDEO, 3]}, r"videos\[1\]: wanted a table, found 3"),
        ({"videos": {"a": 1}}, "videos: wanted a list, found a table"),
        ({"videos": DEEP}, "nested too deeply"),
        ({"class_scores": 1}, "class_scores: wanted true or false, found 1"),
        ({"class_names": ["person"]}, "detector: wanted 80 class names, found 1"),
        ({"class_names": [1] * 80}, r"class_names\[0\]: wanted a string, found 1"),
        ({"detector": ["x"]}, r"detector: wanted a table, found \['x'\]"),
        ({"failed": "no"}, "failed: wanted a list, found 'no'"),
        ({"failed": [{"id": "a", "reason": None}]}, "reason: wanted a string, found None"),
    ],
)
def test_an_attribute_of_the_wrong_type_is_named(
    attributes: ShardAttributes, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ShardFormatError, match=f"^s: attributes do not follow .*{message}"):
        ShardAttributes.from_json(attributes.to_json() | changes, source="s")
