"""Something-Something v1's published lists."""

import json
import shutil
from pathlib import Path

import pytest

from orn.shared.errors import DataRootError, ManifestError
from orn.shared.manifests import something
from orn.shared.manifests.load import load_dataset
from orn.shared.manifests.records import Listing, Segment
from orn.shared.manifests.schema import SomethingV1Labels

SPEC = SomethingV1Labels(
    format="something-v1", train="t.csv", validation="v.csv", test="x.csv", classes="c.csv"
)


def read(
    folder: Path,
    *,
    train: str = "2;Opening something\n",
    validation: str = "9;Putting something, and something, onto something\n",
    classes: str = "Putting something, and something, onto something\nOpening something\n",
    labels: bool = True,
) -> Listing:
    for name, text in (("t", train), ("v", validation), ("x", "5\n"), ("c", classes)):
        (folder / f"{name}.csv").write_text(text)
    return something.read(SPEC, folder, labels=labels)


def test_lines_become_segments(tmp_path: Path) -> None:
    assert read(tmp_path) == Listing(
        classes=("Putting something, and something, onto something", "Opening something"),
        video_ids=("2", "9", "5"),
        segments=(
            Segment(id="2", video_id="2", split="train", labels=(1,)),
            Segment(id="9", video_id="9", split="validation", labels=(0,)),
            Segment(id="5", video_id="5", split="test"),
        ),
    )


def test_without_labels_classes_are_not_needed(tmp_path: Path) -> None:
    read(tmp_path)
    (tmp_path / "c.csv").unlink()
    listing = something.read(SPEC, tmp_path, labels=False)
    assert [segment.labels for segment in listing.segments] == [(), (), ()]


def test_clips_of_classes_that_are_not_asked_for_are_counted(tmp_path: Path) -> None:
    train = "2;Opening something\n3;Closing something\n4;Closing something\n"
    listing = read(tmp_path, train=train)
    reason = "class 'Closing something' is not in c.csv"
    assert listing.left_out == {reason: 2}
    assert listing.video_ids == ("2", "9", "5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": "2\n"}, "t.csv: 1 problem: line 1: wanted a class of clip '2', found none"),
        ({"train": "2;Opening something\n../2;a\n"}, "line 2: video id '../2' would leave"),
        ({"train": "2;Opening something\n" * 2}, "line 2: clip '2' is listed before"),
        ({"validation": "2;Opening something\n"}, "v.csv: 1 problem: line 1: clip '2' is listed"),
        ({"classes": "Opening somthing\n"}, "the nearest in the file is 'Opening somthing'"),
    ],
)
def test_refusals(tmp_path: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, **change)
    assert message in str(caught.value)


def test_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    read(tmp_path)
    (tmp_path / "v.csv").unlink()
    with pytest.raises(DataRootError, match=r"v\.csv: no such file"):
        something.read(SPEC, tmp_path, labels=True)


@pytest.mark.real_data
def test_published_layout(sample_data: Path, tmp_path: Path) -> None:
    """The class list of v1 and real folders, as the publishers lay them out."""
    source = sample_data / "something"
    folder = tmp_path / "something-v1"
    videos = folder / "20bn-something-something-v1"
    videos.mkdir(parents=True)
    entries = json.loads((source / "annotations/labels_for_ids_DERIVED.json").read_text())
    lines = []
    for name, entry in entries.items():
        lines.append(f"{name};{entry['template'].replace('[', '').replace(']', '')}\n")
        if (source / "frames" / name).is_dir():
            (videos / name).mkdir()
            for image in (source / "frames" / name).glob("*.jpg"):
                shutil.copyfile(image, videos / name / f"{int(image.stem):05d}.jpg")
    names = (source / "annotations/sthv1_label_map.txt").read_text()
    (folder / "something-something-v1-labels.csv").write_text(names)
    (folder / "something-something-v1-train.csv").write_text("".join(lines[:2]))
    (folder / "something-something-v1-validation.csv").write_text("".join(lines[2:]))
    dataset = load_dataset("something-v1", tmp_path)
    assert len(dataset.classes) == 174
    assert {video.id for video in dataset.videos} == {"2", "13201"}
    assert {video.rate for video in dataset.videos} == {12.0}
    held = {segment.id: dataset.classes[segment.labels[0]] for segment in dataset.segments}
    assert held["2"] == "Pretending to pick something up"
