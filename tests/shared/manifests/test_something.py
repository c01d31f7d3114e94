"""Something-Something's published lists."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import DataRootError, ManifestError
from shared.manifests import something
from shared.manifests.records import Listing, Segment
from shared.manifests.schema import SomethingLabels

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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"train": ({"id": "2", "template": "Opning [something]"},)},
            "entry 0: unknown class 'Opning something'; the nearest is 'Opening something'",
        ),
        ({"train": ({"id": "2"},)}, "t.json: 1 problem: entry 0: unknown class ''"),
        ({"train": ({"id": 2},)}, "entry 0: wanted an object with a text 'id'"),
        ({"train": ({"id": "../2"},)}, "entry 0: video id '../2' would leave"),
        ({"validation": (OPEN,)}, "v.json: 1 problem: entry 0: clip '2' is listed before"),
        ({"train": {"id": "2"}}, "t.json: wanted an array, found dict"),
        ({"classes": [1]}, "c.json: wanted an object, found list"),
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
