"""A manifest from a table of one's own: what is guessed, what is drawn, and that it holds."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.data_manifests.draw_split import Group, assign_groups
from orn.data_manifests.load import load_dataset, load_manifest
from orn.data_manifests.records import SPLITS

Make = Callable[..., Any]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORN_DATA", raising=False)
    return tmp_path


@pytest.fixture
def kitchen(here: Path, write) -> Callable[..., None]:
    """Writes `kitchen/labels.csv`, and videos of these names beside it."""

    def write_kitchen(text: str, *videos: str) -> None:
        write(here / "kitchen" / "labels.csv", text)
        for name in videos:
            write(here / "kitchen" / name)

    return write_kitchen


@pytest.fixture
def new(orn) -> Make:
    """What `orn manifest new` made of a table, after `check` has agreed; or its refusal."""

    def run(*options: str, table: str = "kitchen/labels.csv", exit_code: int = 0) -> Any:
        ran = orn("manifest", "new", table, *options, "--json", exit_code=None)
        assert ran.exit_code == exit_code, ran.stderr
        if exit_code:
            return ran.stderr
        orn("manifest", "check", ran.json["manifest"], "--data", ran.json["data_root"])
        return ran.json

    return run


def splits(here: Path, manifest: str = "kitchen.toml") -> dict[str, str]:
    """The split of each video."""
    pairs = {(own.video_id, own.split) for own in load_dataset(manifest, here).segments}
    split_of = dict(pairs)
    assert len(split_of) == len(pairs)
    return split_of


def test_a_table_of_clips(here: Path, kitchen, new: Make) -> None:
    names = ("a/1", "b", "b2")
    kitchen("video,label\na/1,open\nb,close\nb2,open\n", *(f"clips/{name}.webm" for name in names))
    report = new()
    assert (report["manifest"], report["pattern"]) == ("kitchen.toml", "clips/{id}.webm")
    assert (report["form"], report["task"], report["metric"]) == ("clips", "single-label", "top1")
    assert report["videos"] == {"listed": 3, "present": 3}
    assert (here / "kitchen" / "classes.txt").read_text() == "close\nopen\n"
    segments = load_dataset("kitchen.toml", here).segments
    assert [(segment.video_id, segment.labels) for segment in segments] == [
        *(("a/1", (1,)), ("b", (0,)), ("b2", (1,)))
    ]
    assert (here / "kitchen.toml").read_text().count("#") >= 12  # it explains itself


def test_segments_of_several_labels_and_splits(here: Path, kitchen, new: Make) -> None:
    text = "video,start,stop,label,split\nd,0,2.5,open;close,train\nd,1,3,,validation\n"
    kitchen(text, "d.MP4")
    report = new("--name", "Our kitchen!", "--out", "sub/mine.toml")
    assert (report["name"], report["manifest"]) == ("Our-kitchen", "sub/mine.toml")
    assert (report["form"], report["task"], report["metric"]) == ("segments", "multi-label", "map")
    assert "multi-label, segments" in report["guessed"]
    segments = load_dataset("sub/mine.toml", here).segments
    assert [(segment.split, segment.labels, segment.stop_seconds) for segment in segments] == [
        *(("train", (0, 1), 2.5), ("validation", (), 3.0))
    ]


@pytest.mark.parametrize("pattern", ["films_12/{id}.mp4", "{id}.mp4"])
def test_an_id_is_found_as_a_whole_name(kitchen, new: Make, pattern: str) -> None:
    kitchen("video,label\n1,a\n2,b\n", *(pattern.replace("{id}", digit) for digit in "12"))
    assert new()["pattern"] == pattern


def test_folders_of_frames_want_a_rate(here: Path, kitchen, new: Make) -> None:
    kitchen("video,label\n7,2\n12,10\n", "frames/7/0001.jpg", "frames/12/0001.jpg")
    assert "add --rate to `orn manifest new kitchen/labels.csv`" in new(exit_code=2)
    assert not (here / "kitchen.toml").exists()
    report = new("--rate", "59.94005994")
    assert (report["form"], report["pattern"]) == ("frames", "frames/{id}")
    assert load_manifest("kitchen.toml").videos.rate == 59.94005994
    assert (here / "kitchen" / "classes.txt").read_text() == "2\n10\n"  # numbers in their order
    assert new("--rate", "5", "--videos", "frames/{id}", "--fresh")["form"] == "frames"


def test_a_split_is_drawn_and_kept(here: Path, kitchen, new: Make) -> None:
    rows = [f"v{number},{'open' if number % 2 else 'close'}" for number in range(20)]
    videos = [f"v{number}.mp4" for number in range(20)]
    kitchen("\n".join(["video,label", *rows]), *videos)
    assert "--split 80/10/10" in " ".join(new()["guessed"]), "the hint"
    report = new("--split", "80/10/10", "--seed", "3", "--fresh")
    first = splits(here)
    assert [list(first.values()).count(split) for split in SPLITS] == [16, 2, 2]
    assert report["split_file"] == str(here / "kitchen" / "split.csv")
    kitchen("\n".join(["video,label", *reversed(rows)]))
    new("--split", "80/10/10", "--seed", "3", "--fresh")
    assert splits(here) == first, "the same seed, rows in another order"
    new("--split", "80/20", "--seed", "4", "--name", "other")
    other = splits(here, "other.toml")
    assert [list(other.values()).count(split) for split in SPLITS] == [16, 4, 0]
    assert splits(here) == first, "another manifest has a split of its own"


def test_groups_and_segments_of_one_video_stay_together(here: Path, kitchen, new: Make) -> None:
    rows = [
        f"v{video},{start},{start + 1},{'open' if start else 'close'},p{video // 2}"
        for video in range(12)
        for start in range(2)
    ]
    videos = [f"v{number}.mp4" for number in range(12)]
    kitchen("\n".join(["video,start,stop,label,group", *rows]), *videos)
    new("--split", "60/20/20")
    split_of = splits(here)
    assert all(split_of[f"v{video}"] == split_of[f"v{video + 1}"] for video in range(0, 12, 2))
    assert {list(split_of.values()).count(split) for split in ("validation", "test")} == {2}


TWO = "video,label\na,x\nb,x\n"


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (TWO, "--split 80/10", "sum to 100"),
        (TWO, "--split 80/10/10", "at least 3 groups"),
        ("video,label,split\na,x,train\nb,x,val\n", "--split 80/20", "omit --split"),
        ("video,start,label,group\na,0,x,1\na,1,x,2\n", "--split 80/20", "row 3"),
    ],
)
def test_what_cannot_be_used_leaves_nothing(here, kitchen, orn, table, options, message) -> None:
    kitchen(table, "a.mp4", "b.mp4")
    words = ("kitchen/labels.csv", "--videos", "{id}.mp4", *options.split())
    assert message in orn("manifest", "new", *words, exit_code=None).stderr
    assert {path.name for path in here.rglob("*")} == {"a.mp4", "b.mp4", "kitchen", "labels.csv"}


def test_nothing_is_replaced_unasked(here: Path, kitchen, write, new: Make) -> None:
    kitchen("video,label\na,x\n", "a.mp4")
    write(here / "kitchen.toml", "mine")
    write(here / "kitchen" / "classes.txt", "kept\n")
    for existing in ("classes.txt", "kitchen.toml"):
        refused = new(exit_code=2)
        assert f"{existing}: file exists with different content" in refused
        assert "--fresh" in refused
        assert (here / "kitchen.toml").read_text() == "mine"
        (here / "kitchen" / "classes.txt").unlink(missing_ok=True)
    write(here / "kitchen" / "classes.txt", "kept\n")
    new("--fresh")
    assert (here / "kitchen" / "classes.txt").read_text() == "x\n"
    assert new()["manifest"] == "kitchen.toml"  # nothing would change
    assert new("--out", "again.toml")["name"] == "kitchen"
    kitchen("video,label\na,y\n")
    assert "--name NAME" in new("--out", "third.toml", exit_code=2)
    assert new("--name", "other")["manifest"] == "other.toml"
    assert (here / "kitchen" / "classes.txt").read_text() == "x\n"
    assert load_dataset("other.toml", here).classes == ("y",)


# Drawing ---------------------------------------------------------------------------------------


def groups_of(labels: Iterable[Iterable[str]]) -> dict[str, Group]:
    """A group of one row for each of the labels, which are classes."""
    return {f"v{number}": Counter([None, *classes]) for number, classes in enumerate(labels)}


@pytest.mark.parametrize(
    ("labels", "shares", "parts"),
    [
        pytest.param("A" * 40 + "B" * 20, (8, 1, 1), [("A" * 32 + "B" * 16, "AAAABB", "AAAABB")],
                     id="each class has the shares"),
        pytest.param("AAAABBBBCCC", (8, 1, 1), [("AAABBBCCC", "A", "B"), ("AAABBBCCC", "B", "A")],
                     id="few: another class each time"),
        pytest.param("A" * 9 + "B", (8, 2), [("A" * 7 + "B", "AA")], id="a rare class is trained"),
        pytest.param("A" * 10 + "B" * 5, (2,) * 5, [("AAB",) * 5], id="folds"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(3))
def test_shares_of_classes(labels: str, shares: Any, parts: list[Any], seed: int) -> None:
    part_of = assign_groups(groups_of(labels), [share / 10 for share in shares], seed=seed)
    drawn: list[list[str]] = [[] for _ in shares]
    for label, part in zip(labels, (part_of[f"v{n}"] for n in range(len(labels))), strict=True):
        drawn[part].append(label)
    assert tuple("".join(classes) for classes in drawn) in parts


@given(
    st.lists(st.lists(st.sampled_from("ABCDEF"), max_size=3), min_size=10, max_size=60),
    st.sampled_from([(8, 1, 1), (1, 8, 1), (3.4, 3.3, 3.3), (9.8, 0.1, 0.1), (2,) * 5]),
    st.integers(0, 2**32 - 1),
)
def test_sizes_are_near_and_no_part_is_empty(labels, shares, seed) -> None:
    groups = groups_of(labels)
    part_of = assign_groups(groups, [share / 10 for share in shares], seed=seed)
    backwards = dict(reversed(groups.items()))
    assert part_of == assign_groups(backwards, [share / 10 for share in shares], seed=seed)
    sizes = Counter(part_of.values())
    for part, share in enumerate(shares):
        assert sizes[part] >= 1
        assert abs(sizes[part] - share * len(labels) / 10) < 5


def test_flipped_classes_differ_in_left_and_right(kitchen, new, here: Path) -> None:
    labels = ("turn_Left", "turn_right", "left to right", "Right to left", "leftover", "left")
    rows = "".join(f"{number},{label}\n" for number, label in enumerate(labels))
    kitchen(f"video,label\n{rows}", *(f"{number}.mp4" for number in range(len(labels))))
    new()
    pairs = load_manifest("kitchen.toml").flipped_classes
    assert sorted(pairs) == [("left to right", "Right to left"), ("turn_Left", "turn_right")]


def test_folds_by_group(kitchen, new, here: Path) -> None:
    """Every video is in the test split of one fold, with all videos of its person."""
    rows = [(f"{number}", ("open", "close")[number % 2], f"p{number // 4}") for number in range(32)]
    text = "".join(f"{','.join(row)}\n" for row in rows)
    kitchen(f"video,label,group\n{text}", *(f"{row[0]}.mp4" for row in rows))
    new("--folds", "4")
    tables = []
    manifest = here / "kitchen.toml"
    for column in ("fold-1", "fold-2", "fold-3", "fold-4", "all"):
        manifest.write_text(manifest.read_text().replace('"fold-1"', f'"{column}"'))
        tables.append(splits(here))
        manifest.write_text(manifest.read_text().replace(f'"{column}"', '"fold-1"'))
    assert set(tables.pop().values()) == {"train"}
    for split_of in tables:
        assert Counter(split_of.values())["test"] == 8
        assert set(split_of.values()) == {"train", "validation", "test"}
        for number, _, _ in rows:
            assert split_of[number] == split_of[str(int(number) // 4 * 4)]
    for number, _, _ in rows:
        assert [split_of[number] for split_of in tables].count("test") == 1
    segments = load_dataset("kitchen.toml", here).segments
    assert {segment.group for segment in segments} == {f"p{number}" for number in range(8)}


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda text: text.replace("train,test", "test,test", 1), "one fold, got fold-1, fold-2"),
        (lambda text: text.replace("test", "train", 1), "one fold, got none"),
        (lambda text: text.replace("test,train,train", "train,train,test"), "one fold, got all"),
        (lambda text: text.replace("train\n", "tset\n", 1), "'all': expected train.*'tset'"),
        (lambda text: text + text.splitlines()[-1], "unique ids"),
        (lambda text: text.replace("fold-2", "fold-3"), "expected the columns .*fold-2"),
    ],
)
def test_every_video_is_tested_in_one_fold(kitchen, new, orn, here, edit, problem) -> None:
    """In every column, whichever the manifest names."""
    rows = "".join(f"{number},{('open', 'close')[number % 2]}\n" for number in range(8))
    kitchen(f"video,label\n{rows}", *(f"{number}.mp4" for number in range(8)))
    new("--folds", "2")
    table = here / "kitchen" / "split.csv"
    text = table.read_text()
    table.write_text(edit(text))
    assert table.read_text() != text
    for words in (("manifest", "check"), ("train",)):
        refused = orn(*words, "kitchen.toml", "--data", ".", exit_code=1).stderr
        assert re.search(problem, refused)


def test_folds_need_every_class_in_two_groups(kitchen, new, here: Path) -> None:
    """And each trains on all classes, whatever its validation would take."""
    rows = "".join(f"{number},{'rare' if number == 3 else 'open'}\n" for number in range(6))
    kitchen(f"video,label\n{rows}", *(f"{number}.mp4" for number in range(6)))
    assert "'rare' in at least 2 groups, got 1" in new("--folds", "3", exit_code=2)
    kitchen("video,label\n0,A\n1,B\n2,A\n3,B\n")
    new("--folds", "3")
    for fold in [*zip(*csv.reader((here / "kitchen" / "split.csv").open()), strict=True)][1:]:
        assert {"AB"[n % 2] for n, split in enumerate(fold[1:]) if split == "train"} == {"A", "B"}
