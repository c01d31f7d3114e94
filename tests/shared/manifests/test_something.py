"""Something-Something's published lists."""

import json
from pathlib import Path
from typing import Any

import pytest

from orn.shared.errors import DataRootError, ManifestError
from orn.shared.manifests import something
from orn.shared.manifests.records import Listing, Segment
from orn.shared.manifests.schema import SomethingLabels

SPEC = SomethingLabels(
    format="something", train="t.json", validation="v.json", test="x.json", classes="c.json"
)
OPEN = {
    "id": "2",
    "label": "opening a box",
    "template": "Opening [something]",
    "placeholders": ["a box"],
}
PUT = {"id": "9", "template": "Putting [something] onto [something]"}
CLASSES = {"Opening something": "1", "Putting something onto something": "0"}


def read(
    folder: Path,
    *,
    train: Any = (OPEN,),
    validation: Any = (PUT,),
    test: Any = ({"id": "5"},),
    classes: Any = CLASSES,
    labels: bool = True,
) -> Listing:
    contents = {"t.json": train, "v.json": validation, "x.json": test, "c.json": classes}
    for name, content in contents.items():
        text = json.dumps(list(content) if isinstance(content, tuple) else content)
        (folder / name).write_text(text)
    return something.read(SPEC, folder, labels=labels)


def test_lists_become_segments(tmp_path: Path) -> None:
    assert read(tmp_path) == Listing(
        classes=("Putting something onto something", "Opening something"),
        video_ids=("2", "9", "5"),
        segments=(
            Segment(id="2", video_id="2", split="train", labels=(1,)),
            Segment(id="9", video_id="9", split="validation", labels=(0,)),
            Segment(id="5", video_id="5", split="test"),
        ),
    )


def test_without_labels_classes_are_not_needed(tmp_path: Path) -> None:
    read(tmp_path)
    (tmp_path / "c.json").unlink()
    listing = something.read(SPEC, tmp_path, labels=False)
    assert {segment.labels for segment in listing.segments} == {()}


def test_clips_of_classes_that_are_not_asked_for_are_counted(tmp_path: Path, caplog) -> None:
    read(tmp_path)
    (tmp_path / "mine.txt").write_text("Opening something\nNever seen\n")
    spec = SPEC.model_copy(update={"classes": "mine.txt"})
    listing = something.read(spec, tmp_path, labels=True)
    assert listing.classes == ("Opening something", "Never seen")
    assert [segment.id for segment in listing.segments] == ["2", "5"]
    reason = "class 'Putting something onto something' is not in mine.txt"
    assert listing.left_out == {reason: 1}
    assert "mine.txt: 1 clip of 1 class left out" in caplog.text


def test_a_list_that_is_not_there_may_be_enough(tmp_path: Path) -> None:
    read(tmp_path)
    (tmp_path / "t.json").unlink()
    listing = something.read(SPEC, tmp_path, labels=True, partial=True)
    assert listing.absent == ("t.json",)
    assert [segment.id for segment in listing.segments] == ["9", "5"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"train": ({"id": "2", "template": "Opning [something]"},), "validation": ()},
            "c.json: none of the 1 listed clips is of a class in it; the first is of "
            "'Opning something', the nearest in the file is 'Opening something'",
        ),
        (
            {"train": ({"id": "2"},)},
            "t.json: 1 problem: entry 0: wanted a class of clip '2', found none",
        ),
        ({"train": ({"id": "2", "template": 1},)}, "entry 0: wanted a text as 'template', found 1"),
        ({"train": ({"id": 2},)}, "entry 0: wanted an object with a text 'id'"),
        ({"train": ({"id": "../2"},)}, "entry 0: video id '../2' would leave"),
        ({"validation": (OPEN,)}, "v.json: 1 problem: entry 0: clip '2' is listed before"),
        ({"train": {"id": "2"}}, "t.json: expected an array, got a table"),
        ({"classes": [1]}, "c.json: expected an object, got [1]"),
        ({"classes": {"a": "0", "b": "2"}}, "c.json: wanted the indices 0 to 1 once each"),
    ],
)
def test_refusals(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, **change)
    assert message in str(caught.value)


def test_list_that_is_no_json(tmp_path: Path) -> None:
    read(tmp_path)
    (tmp_path / "t.json").write_text("[")
    with pytest.raises(ManifestError, match=r"t\.json: is not JSON"):
        something.read(SPEC, tmp_path, labels=True)


def test_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    read(tmp_path)
    (tmp_path / "v.json").unlink()
    with pytest.raises(DataRootError, match=r"v\.json: no such file"):
        something.read(SPEC, tmp_path, labels=True)


@pytest.mark.real_data
def test_published_class_names(sample_data: Path, tmp_path: Path) -> None:
    """Templates of the published lists are class names once their brackets are taken away."""
    annotations = sample_data / "something" / "annotations"
    entries = json.loads((annotations / "labels_for_ids_DERIVED.json").read_text())
    train = [{"id": name, "template": entry["template"]} for name, entry in entries.items()]
    read(tmp_path, train=train, validation=[], test=[], labels=False)
    names = (annotations / "sthv2_label_map.txt").read_text()
    (tmp_path / "names.txt").write_text(names)
    spec = SPEC.model_copy(update={"classes": "names.txt"})
    listing = something.read(spec, tmp_path, labels=True)
    assert len(listing.classes) == 174
    held = {segment.id: listing.classes[segment.labels[0]] for segment in listing.segments}
    assert held["57082"] == "Dropping something into something"
