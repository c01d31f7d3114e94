"""EPIC Kitchens 55's published tables."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import DataRootError, ManifestError
from orn.shared.manifests import epic
from orn.shared.manifests.epic import EpicVocabulary
from orn.shared.manifests.load import load_listing, load_manifest
from orn.shared.manifests.problems import Problems
from orn.shared.manifests.records import Listing, Segment, Subset, Task
from orn.shared.manifests.schema import EpicLabels, EpicTarget, PersonSplit
from orn.shared.manifests.text_files import Row

SPEC = EpicLabels(format="epic", table="t.csv", verbs="v.csv", nouns="n.csv", invalid="i.csv")
HEADER = (
    "uid,participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,"
    "verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n"
)
CODE = "\"__import__('os')\""


def row(
    uid: str = "0",
    person: str = "P01",
    video_id: str = "P01_01",
    start: str = "00:00:00.14",
    stop: str = "00:00:03.37",
    verb: str = "2",
    noun: str = "1",
    all_nouns: str = "[1]",
) -> str:
    times = f"{start},{stop},8,202"
    lists = f'{CODE},"{all_nouns}"'
    return f"{uid},{person},{video_id},open door,{times},open,{verb},door,{noun},{lists}\n"


def read(
    folder: Path,
    rows: str,
    *,
    last: int = 25,
    target: EpicTarget = "verb",
    task: Task = "single-label",
    labels: bool = True,
) -> Listing:
    (folder / "t.csv").write_text(HEADER + rows)
    (folder / "v.csv").write_text(f"verb_id,class_key,verbs\n0,take,{CODE}\n1,put,x\n2,open,x\n")
    (folder / "n.csv").write_text("noun_id,class_key,nouns\n0,Nothing,x\n1,door,x\n2,pan,x\n")
    split = PersonSplit(rule="person", last_train_person=last)
    spec = SPEC.model_copy(update={"target": target})
    return epic.read(spec, split, folder, task=task, labels=labels)


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
                participant="P01",
            ),
            Segment(
                id="7",
                video_id="P26_01",
                split="validation",
                labels=(0,),
                start_seconds=3723.5,
                stop_seconds=3724.0,
                participant="P26",
            ),
        ),
        subsets=(Subset(name="many_shot"),),
    )


@given(hundredths=st.integers(0, 36_000_000))
def test_times_are_read_to_the_hundredth(hundredths: int, tmp_path_factory) -> None:
    seconds, rest = divmod(hundredths, 100)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:02d}"
    folder = tmp_path_factory.mktemp("epic")
    (segment,) = read(folder, row(start=clock, stop="100:00:00.01")).segments
    assert segment.start_seconds == pytest.approx(hundredths / 100, abs=1e-9)


def test_the_last_person_to_train_on_can_be_set(tmp_path: Path) -> None:
    rows = row() + row("1", "P25", "P25_01")
    assert [segment.split for segment in read(tmp_path, rows).segments] == ["train", "train"]
    splits = [segment.split for segment in read(tmp_path, rows, last=24).segments]
    assert splits == ["train", "validation"]


def test_nouns(tmp_path: Path) -> None:
    listing = read(tmp_path, row(noun="2"), target="noun")
    assert listing.classes == ("Nothing", "door", "pan")
    assert listing.segments[0].labels == (2,)


def test_all_nouns_of_a_segment(tmp_path: Path) -> None:
    listing = read(tmp_path, row(all_nouns="[2, 1, 2]"), target="noun", task="multi-label")
    assert listing.segments[0].labels == (1, 2)


def test_actions_are_the_pairs_that_occur(tmp_path: Path) -> None:
    rows = row(verb="2", noun="1") + row("1", verb="0", noun="2") + row("2", verb="2", noun="1")
    listing = read(tmp_path, rows, target="action")
    assert listing.classes == ("take pan", "open door")
    assert [segment.labels for segment in listing.segments] == [(1,), (0,), (1,)]


def test_invalid_rows_are_counted(tmp_path: Path) -> None:
    assert read(tmp_path, row()).left_out == {}
    (tmp_path / "i.csv").write_text(HEADER + row("7", verb="") + row("8", verb=""))
    listing = read(tmp_path, row())
    assert listing.left_out == {"without a verb class, in i.csv": 2}
    assert len(listing.segments) == 1


def test_without_labels_classes_are_not_needed(tmp_path: Path) -> None:
    read(tmp_path, row())
    (tmp_path / "v.csv").unlink()
    split = PersonSplit(rule="person")
    (segment,) = epic.read(SPEC, split, tmp_path, task="single-label", labels=False).segments
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


@pytest.mark.parametrize(
    "cell",
    [
        *("", "[]", "[3]", "[-1]", "[True]", "[1.0]", "(1,)", "1", "[1", "[[1]]", "[1]\0"),
        *("__import__('os')", "[" * 500, "[" + "1," * 600 + "1]", "-" * 900 + "1"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, cell: str) -> None:
    problems = Problems(path=tmp_path)
    vocabulary = EpicVocabulary(target="noun", several=True, verbs=(), nouns=("a", "b", "c"))
    assert vocabulary.labels(Row({"all_noun_classes": cell}, 2, problems)) == ()
    (found,) = problems.shown
    assert found.startswith("line 2: wanted all_noun_classes as a list of numbers from 0 to 2")


@given(numbers=st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_lists_of_numbers(numbers: list[int]) -> None:
    problems = Problems(path=Path("t.csv"))
    vocabulary = EpicVocabulary(
        target="noun", several=True, verbs=(), nouns=tuple(map(str, range(41)))
    )
    labels = vocabulary.labels(Row({"all_noun_classes": repr(numbers)}, 2, problems))
    assert labels == tuple(sorted(set(numbers)))
    assert problems.shown == []


def test_several_nouns_are_asked_of_nouns_alone(tmp_path: Path) -> None:
    text = load_manifest("epic").source.read_text()
    path = tmp_path / "epic.toml"
    path.write_text(text.replace('"single-label"', '"multi-label"').replace('"top1"', '"map"'))
    with pytest.raises(ManifestError, match=r"wants labels\.target = 'noun'.*found 'verb'"):
        load_manifest(path)


def test_classes_out_of_order(tmp_path: Path) -> None:
    read(tmp_path, row())
    (tmp_path / "v.csv").write_text("verb_id,class_key,verbs\n1,take,x\n")
    with pytest.raises(ManifestError, match=r"v\.csv: .*line 2: wanted verb_id 0, found '1'"):
        epic.read(SPEC, PersonSplit(rule="person"), tmp_path, task="single-label", labels=True)


def test_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    read(tmp_path, row())
    (tmp_path / "t.csv").unlink()
    with pytest.raises(DataRootError, match=f"{tmp_path / 't.csv'}: no such file"):
        epic.read(SPEC, PersonSplit(rule="person"), tmp_path, task="single-label", labels=True)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("epic", {"train": 23_191, "validation": 5_281}),
        ("epic-cut24", {"train": 22_679, "validation": 5_793}),
    ],
)
def test_published_tables(sample_data: Path, name: str, splits: dict[str, int]) -> None:
    listing = load_listing(load_manifest(name), sample_data)
    assert len(listing.segments) == 28_472
    assert len(listing.video_ids) == 272
    assert len(listing.classes) == 125
    assert Counter(segment.split for segment in listing.segments) == splits
    assert len({label for segment in listing.segments for label in segment.labels}) == 119
    assert [*listing.left_out.values()] == [116]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "num_classes", "num_present", "first"),
    [("epic-nouns", 352, 321, "cupboard"), ("epic-actions", 2_513, 2_513, "open cupboard")],
)
def test_published_nouns_and_actions(
    sample_data: Path, name: str, num_classes: int, num_present: int, first: str
) -> None:
    listing = load_listing(load_manifest(name), sample_data)
    assert len(listing.classes) == num_classes
    assert len({segment.labels for segment in listing.segments}) == num_present
    assert listing.classes[listing.segments[0].labels[0]] == first


@pytest.mark.real_data
def test_published_lists_of_nouns(sample_data: Path, tmp_path: Path) -> None:
    """4,290 segments have more than one noun; the first of the list is the noun of the row."""
    text = load_manifest("epic-nouns").source.read_text()
    path = tmp_path / "nouns.toml"
    path.write_text(text.replace('"single-label"', '"multi-label"').replace('"top1"', '"map"'))
    several = load_listing(load_manifest(path), sample_data).segments
    single = load_listing(load_manifest("epic-nouns"), sample_data).segments
    assert sum(len(segment.labels) > 1 for segment in several) > 4_000
    assert all(set(b.labels) <= set(a.labels) for a, b in zip(several, single, strict=True))
