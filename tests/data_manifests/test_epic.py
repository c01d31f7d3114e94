"""EPIC Kitchens 55 and 100: published tables, and the parts that are measured by themselves."""

from collections import Counter
from pathlib import Path

import pytest

from orn.data_manifests import epic
from orn.data_manifests.load import load_listing, load_manifest
from orn.data_manifests.manifest import Epic100Labels, EpicLabels, EpicTarget
from orn.data_manifests.records import Listing, Segment, Subset
from orn.shared.errors import ManifestError

SPEC = EpicLabels(format="epic", table="t.csv", verbs="v.csv", nouns="n.csv")
SPEC_100 = Epic100Labels.model_validate(
    {"format": "epic100", "train": "t.csv", "validation": "val.csv", "test": "x.csv"}
    | {"verbs": "v.csv", "nouns": "n.csv", "unseen": "u.csv"}
    | {"tail_verbs": "tv.csv", "tail_nouns": "tn.csv"}
)
TIMES = "participant_id,video_id,start_timestamp,stop_timestamp"
HEADER = f"uid,narration_id,{TIMES},verb_class,noun_class,all_nouns\n"
CODE = "\"__import__('os')\""


def row(
    uid: str = "0",
    person: str = "P01",
    video_id: str = "P01_01",
    start: str = "00:00:00.14",
    stop: str = "00:00:03.37",
    verb: str = "2",
    noun: str = "1",
) -> str:
    return f"{uid},n{uid},{person},{video_id},{start},{stop},{verb},{noun},{CODE}\n"


def write(folder: Path, rows: str) -> None:
    (folder / "t.csv").write_text(HEADER + rows)
    for name, number, key, classes in (
        ("v", "verb_id", "class_key", ("take", "put", "open")),
        ("n", "noun_id", "class_key", ("Nothing", "door", "pan")),
    ):
        lines = [
            f"{place},{place},{class_index},{class_index},{CODE}"
            for place, class_index in enumerate(classes)
        ]
        (folder / f"{name}.csv").write_text("\n".join([f"id,{number},key,{key},of", *lines]))


def read(folder: Path, rows: str, target: EpicTarget = "verb") -> Listing:
    write(folder, rows)
    spec = SPEC.model_copy(update={"target": target})
    return epic.read(spec, folder, labels=True)


def read_100(folder: Path, rows: str, target: EpicTarget = "verb") -> Listing:
    write(folder, rows)
    (folder / "val.csv").write_text(HEADER + row("7", "P02", "P02_01", verb="0"))
    unlabeled = "n8,P03,P03_01,00:00:00.00,00:00:01.00"
    (folder / "x.csv").write_text(f"narration_id,{TIMES}\n{unlabeled}\n")
    spec = SPEC_100.model_copy(update={"target": target})
    return epic.read_100(spec, folder, labels=True)


def test_rows_become_segments(tmp_path: Path) -> None:
    rows = row() + row("7", "P26", "P26_01", "01:02:03.50", "01:02:04", "0")
    first, second = (
        {"id": "0", "video_id": "P01_01", "split": "train", "labels": (2,), "participant": "P01"},
        {"id": "7", "video_id": "P26_01", "split": "validation", "labels": (0,)},
    )
    assert read(tmp_path, rows) == Listing(
        classes=("take", "put", "open"),
        video_ids=("P01_01", "P26_01"),
        segments=(
            Segment(**first, start_seconds=0.14, stop_seconds=3.37),
            Segment(**second, start_seconds=3723.5, stop_seconds=3724.0, participant="P26"),
        ),
    )


def test_nouns_and_actions(tmp_path: Path) -> None:
    rows = row(noun="1") + row("1", verb="0", noun="2") + row("2")
    nouns = read(tmp_path, rows, target="noun")
    assert nouns.classes == ("Nothing", "door", "pan")
    assert [segment.labels for segment in nouns.segments] == [(1,), (2,), (1,)]
    actions = read(tmp_path, rows, target="action")
    assert actions.classes == ("take pan", "open door")
    assert [segment.labels for segment in actions.segments] == [(1,), (0,), (1,)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        *((row(verb=verb), f"'verb_class': .*got '{verb}'") for verb in ("3", "", "-1", "²")),
        (row(start="0.14"), "'start_timestamp': .*got '0.14'"),
        (row(stop="00:00:00.10"), "2: expected stop after start, got 0.14 s and 0.1 s"),
        (row() + row(), "3: expected unique ids, got '0' twice"),
        (row(person="X1"), "'participant_id': .*got 'X1'"),
        (row(video_id="../P01_01"), "'video_id': expected a path .*got '../P01_01'"),
    ],
)
def test_refusals(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(ManifestError, match=rf"t\.csv, row .*{message}"):
        read(tmp_path, rows)


def test_each_table_of_100_is_a_split(tmp_path: Path) -> None:
    listing = read_100(tmp_path, row("a"))
    assert listing.classes == ("take", "put", "open")
    assert listing.video_ids == ("P01_01", "P02_01", "P03_01")
    assert [(segment.id, segment.split, segment.labels) for segment in listing.segments] == [
        *(("na", "train", (2,)), ("n7", "validation", (0,)), ("n8", "test", ()))
    ]
    actions = read_100(tmp_path, row("a"), target="action")
    assert [segment.labels for segment in actions.segments] == [(1,), (0,), ()]
    with pytest.raises(ManifestError, match=r"val\.csv, row 2: .*'n7' twice"):
        read_100(tmp_path, row("7"))


def test_tail_and_unseen_are_those_of_the_lists(tmp_path: Path) -> None:
    lists = {"tv": "verb\n1\n", "tn": "noun\n2\n", "u": "participant_id\nP18\nP32\n"}
    for name, text in lists.items():
        (tmp_path / f"{name}.csv").write_text(text)
    rows = [row(f"{v}{n}", verb=f"{v}", noun=f"{n}") for v in range(3) for n in range(3)]

    def tail(target: EpicTarget) -> Subset:
        return read_100(tmp_path, "".join(rows), target=target).subsets[1]

    unseen = read_100(tmp_path, row()).subsets[0]
    assert unseen == Subset(name="unseen", participants=("P18", "P32"))
    assert (tail("verb").classes, tail("noun").classes) == ((1,), (2,))
    assert tail("action").classes == (2, 3, 4, 5, 8)  # of verb 1, or of noun 2
    (tmp_path / "tn.csv").unlink()
    assert tail("action") == Subset(name="tail", absent=tmp_path / "tn.csv")
    assert tail("verb").absent is None


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "last_train", "num_classes", "num_present", "first"),
    [
        ("epic-cut24", 22_679, 125, 119, "open"),
        ("epic-nouns", 23_191, 352, 321, "cupboard"),
        ("epic-actions", 23_191, 2_513, 2_513, "open cupboard"),
    ],
)
def test_published_tables(sample_data, name, last_train, num_classes, num_present, first) -> None:
    listing = load_listing(load_manifest(name), sample_data)
    assert (len(listing.segments), len(listing.video_ids)) == (28_472, 272)
    splits = Counter(segment.split for segment in listing.segments)
    assert splits == {"train": last_train, "validation": 28_472 - last_train}
    assert len(listing.classes) == num_classes
    assert len({label for segment in listing.segments for label in segment.labels}) == num_present
    assert listing.classes[listing.segments[0].labels[0]] == first


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "num_classes", "num_present"),
    [("epic100", 97, 78), ("epic100-nouns", 300, 211), ("epic100-actions", 1_352, 1_352)],
)
def test_published_tables_of_100(sample_data, name, num_classes, num_present) -> None:
    listing = load_listing(load_manifest(name), sample_data, partial=True)
    assert listing.absent == ("annotations/EPIC_100_train.csv",)
    assert Counter(segment.split for segment in listing.segments) == {"validation": 9_668}
    assert len(listing.video_ids) == 138
    assert len(listing.classes) == num_classes
    assert len({segment.labels for segment in listing.segments}) == num_present
    unseen, tail = listing.subsets
    assert unseen.participants == ("P18", "P32")
    assert sum(segment.participant in ("P18", "P32") for segment in listing.segments) == 1_065
    if name == "epic100":
        assert len(tail.classes) == 86
        assert sum(segment.labels[0] in tail.classes for segment in listing.segments) == 1_760
    else:
        assert tail.absent is not None
        assert tail.absent.name == "EPIC_100_tail_nouns.csv"
