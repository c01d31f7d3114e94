"""Something-Something's published lists, of v1 and of v2."""

import json
from pathlib import Path
from typing import Any

import pytest

from orn.data_manifests import something
from orn.data_manifests.manifest import SomethingLabels
from orn.data_manifests.records import Listing, Segment

V1 = SomethingLabels(format="something", train="t", validation="v", test="x", classes="c")
V2 = SomethingLabels(
    format="something", train="t.json", validation="v.json", test="x.json", classes="c.json"
)
PUTTING = "Putting something, and something, onto something"
OPEN = {"id": "2", "label": "opening a box", "template": "Opening [something]"}
PUT = {"id": "9", "template": "Putting [something], and [something], onto [something]"}
FILES: dict[SomethingLabels, dict[str, Any]] = {
    V1: {
        "t": "2;Opening something\n",
        "v": f"9;{PUTTING}\n",
        "x": "5\n",
        "c": f"{PUTTING}\nOpening something\n",
    },
    V2: {
        "t.json": [OPEN],
        "v.json": [PUT],
        "x.json": [{"id": "5"}],
        "c.json": {"Opening something": "1", PUTTING: "0"},
    },
}


@pytest.fixture(params=[V1, V2], ids=["v1", "v2"])
def spec(request: pytest.FixtureRequest) -> Any:
    return request.param


def read(spec: Any, folder: Path, changes: dict[str, Any] | None = None, **kwargs: Any) -> Listing:
    for name, content in (FILES[spec] | (changes or {})).items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text)
    return something.read(spec, folder, **{"labels": True, **kwargs})


def test_lists_become_segments(tmp_path: Path, spec: Any) -> None:
    assert read(spec, tmp_path) == Listing(
        classes=(PUTTING, "Opening something"),
        video_ids=("2", "9", "5"),
        segments=(
            Segment(id="2", video_id="2", split="train", labels=(1,)),
            Segment(id="9", video_id="9", split="validation", labels=(0,)),
            Segment(id="5", video_id="5", split="test"),
        ),
    )


def test_files_that_are_not_there(tmp_path: Path, spec: Any) -> None:
    read(spec, tmp_path)
    (tmp_path / spec.classes).unlink()
    listing = something.read(spec, tmp_path, labels=False)
    assert [segment.labels for segment in listing.segments] == [(), (), ()]
    (tmp_path / spec.train).unlink()
    listing = something.read(spec, tmp_path, labels=False, partial=True)
    assert listing.absent == (spec.train,)
    assert listing.video_ids == ("9", "5")


def test_clips_of_classes_that_are_not_asked_for_are_counted(tmp_path, spec, caplog) -> None:
    mine = spec.model_copy(update={"classes": "mine.txt"})
    FILES[mine] = FILES[spec]
    listing = read(mine, tmp_path, {"mine.txt": "Opening something\nNever seen\n"})
    assert listing.classes == ("Opening something", "Never seen")
    assert listing.video_ids == ("2", "5")
    assert listing.left_out == {f"class {PUTTING!r} is not in mine.txt": 1}
    assert "mine.txt: skipped 1 clip of 1 class" in caplog.text
