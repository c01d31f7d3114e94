"""EPIC Kitchens' published tables."""

from collections import Counter
from pathlib import Path

import pytest

from shared.errors import DataRootError, ManifestError
from shared.manifests import epic
from shared.manifests.load import load_listing, load_manifest
from shared.manifests.records import Listing, Segment
from shared.manifests.schema import EpicLabels, PersonSplit

SPEC = EpicLabels(format="epic", table="t.csv", classes="c.csv")
HEADER = (
    "uid,participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,"
    "verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n"
)


def row(
    uid: str = "0",
    person: str = "P01",
    video_id: str = "P01_01",
    start: str = "00:00:00.14",
    stop: str = "00:00:03.37",
    verb: str = "2",
) -> str:
    times = f"{start},{stop},8,202"
    lists = "\"__import__('os')\",[8]"
    return f"{uid},{person},{video_id},open door,{times},open,{verb},door,8,{lists}\n"


def read(folder: Path, rows: str, *, last: int = 25, labels: bool = True) -> Listing:
    (folder / "t.csv").write_text(HEADER + rows)
    (folder / "c.csv").write_text("verb_id,class_key,verbs\n0,take,x\n1,put,x\n2,open,x\n")
    split = PersonSplit(rule="person", last_train_person=last)
    return epic.read(SPEC, split, folder, labels=labels)


def test_rows_become_segments(tmp_path: Path) -> None:
    rows = row() + row("7", "P26", "P26_01", "01:02:03.50", "01:02:04", "0")
    assert read(tmp_path, rows) == Listing(
        classes=("take", "put", "open"),
        video_ids=("P01_01", "P26_01"),
        segments=(
            Segment(
                id="0",
                video_id="P01_01",
                split="train",
                labels=(2,),
                start_seconds=0.14,
                stop_seconds=3.37,
            ),
            Segment(
                id="7",
                video_id="P26_01",
                split="validation",
                labels=(0,),
                start_seconds=3723.5,
                stop_seconds=3724.0,
            ),
        ),
    )


def test_the_last_person_to_train_on_can_be_set(tmp_path: Path) -> None:
    rows = row() + row("1", "P25", "P25_01")
    assert [segment.split for segment in read(tmp_path, rows).segments] == ["train", "train"]
    splits = [segment.split for segment in read(tmp_path, rows, last=24).segments]
    assert splits == ["train", "validation"]


def test_without_labels_classes_are_not_needed(tmp_path: Path) -> None:
    read(tmp_path, row())
    (tmp_path / "c.csv").unlink()
    split = PersonSplit(rule="person")
    (segment,) = epic.read(SPEC, split, tmp_path, labels=False).segments
    assert segment.labels == ()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (row(verb="3"), "line 2: wanted a verb_class from 0 to 2, found '3'"),
        (row(verb=""), "line 2: wanted a verb_class from 0 to 2, found ''"),
        (row(verb="-1"), "line 2: wanted a verb_class from 0 to 2, found '-1'"),
        (
            row(start="0.14"),
            "line 2: wanted start_timestamp as hours:minutes:seconds, found '0.14'",
        ),
        (row(start="00:99:00"), "line 2: wanted start_timestamp as hours:minutes:seconds"),
        (row(stop="00:00:00.10"), "line 2: wanted stop after start, found 0.14 s and 0.1 s"),
        (row() + row(), "line 3: uid 0 is listed before"),
        (row(person="X1"), "line 2: wanted a participant_id such as P01, found 'X1'"),
        (row(video_id="../P01_01"), "line 2: video id '../P01_01' would leave"),
    ],
)
def test_refusals(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, rows)
    assert message in str(caught.value)


def test_classes_out_of_order(tmp_path: Path) -> None:
    read(tmp_path, row())
    (tmp_path / "c.csv").write_text("verb_id,class_key,verbs\n1,take,x\n")
    with pytest.raises(ManifestError, match=r"c\.csv: .*line 2: wanted verb_id 0, found '1'"):
        epic.read(SPEC, PersonSplit(rule="person"), tmp_path, labels=True)


def test_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    read(tmp_path, row())
    (tmp_path / "t.csv").unlink()
    with pytest.raises(DataRootError, match=f"{tmp_path / 't.csv'}: no such file"):
        epic.read(SPEC, PersonSplit(rule="person"), tmp_path, labels=True)


@pytest.mark.real_data
def test_published_tables(sample_data: Path) -> None:
    listing = load_listing(load_manifest("epic"), sample_data)
    assert len(listing.segments) == 28_472
    assert len(listing.video_ids) == 272
    assert len(listing.classes) == 125
    assert Counter(segment.split for segment in listing.segments) == {
        "train": 23_191,
        "validation": 5_281,
    }
    assert len({label for segment in listing.segments for label in segment.labels}) == 119
