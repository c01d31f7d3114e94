"""Tables of one's own."""

from pathlib import Path

import pytest

from orn.shared.errors import DataRootError, ManifestError
from orn.shared.manifests import table
from orn.shared.manifests.records import Form, Listing, Segment, Task
from orn.shared.manifests.schema import ColumnSplit, TableLabels

SPEC = TableLabels(format="table", table="t.csv", classes="c.txt")
SPLIT = ColumnSplit(rule="column")


def read(
    folder: Path,
    text: str,
    *,
    task: Task = "single-label",
    form: Form = "clips",
    labels: bool = True,
    classes: str = "open\nclose\ntouch",
    split: ColumnSplit = SPLIT,
) -> Listing:
    (folder / "t.csv").write_text(text)
    (folder / "c.txt").write_text(classes)
    return table.read(SPEC, split, folder, task=task, form=form, labels=labels)


def test_clips(tmp_path: Path) -> None:
    listing = read(tmp_path, "video,label,split\na,open,train\nx/b,close,test\n")
    assert listing == Listing(
        classes=("open", "close", "touch"),
        video_ids=("a", "x/b"),
        segments=(
            Segment(id="a", video_id="a", split="train", labels=(0,)),
            Segment(id="x/b", video_id="x/b", split="test", labels=(1,)),
        ),
    )


def test_segments_of_long_videos(tmp_path: Path) -> None:
    text = "id,start,stop,video,label\ns1,0,1.5,a,open\ns2,1,2,a,close\n,0.5,3,b,open\n"
    listing = read(tmp_path, text, form="segments")
    assert listing.video_ids == ("a", "b")
    assert [segment.id for segment in listing.segments] == ["s1", "s2", "b:0.5-3"]
    assert listing.segments[0].start_seconds == 0.0
    assert listing.segments[0].stop_seconds == 1.5
    assert {segment.split for segment in listing.segments} == {"train"}


def test_other_names_of_splits(tmp_path: Path) -> None:
    names = ("training", "val", "Valid", "dev", "TEST")
    rows = "".join(f"{name},open,{name}\n" for name in names)
    listing = read(tmp_path, f"video,label,split\n{rows}")
    splits = [segment.split for segment in listing.segments]
    assert splits == ["train", "validation", "validation", "validation", "test"]


def test_a_table_of_splits_beside_the_labels(tmp_path: Path) -> None:
    spec = ColumnSplit(rule="column", table="s.csv", group="person")
    table_text = "video,label,person\na,open,p1\nx/b,close,p2\n"

    def splits(split_text: str, label_text: str = table_text) -> list[str]:
        (tmp_path / "s.csv").write_text(split_text)
        return [segment.split for segment in read(tmp_path, label_text, split=spec).segments]

    assert splits("video,split\nx/b,val\na,train\ngone,test\n") == ["train", "validation"]
    with pytest.raises(ManifestError, match=r"t\.csv: .*line 3: .*'x/b' in s\.csv, got none; add"):
        splits("video,split\na,train\n")
    with pytest.raises(ManifestError, match=r"s\.csv: .*line 3: video 'a' is listed before"):
        splits("video,split\na,train\na,test\n")
    with pytest.raises(ManifestError, match=r"s\.csv: .*unknown split 'tset'; .* 'test'"):
        splits("video,split\na,tset\n")
    with pytest.raises(ManifestError, match=r"t\.csv: .*got a column 'split', too; take it out"):
        splits("video,split\na,test\n", "video,label,split\na,open,train\n")
    (tmp_path / "s.csv").unlink()
    with pytest.raises(DataRootError, match=r"s\.csv: no such file"):
        read(tmp_path, table_text, split=spec)


def test_several_labels(tmp_path: Path) -> None:
    text = "video,label,split\na,touch; open,train\nb,,train\n"
    listing = read(tmp_path, text, task="multi-label")
    assert [segment.labels for segment in listing.segments] == [(0, 2), ()]


def test_without_labels_neither_classes_nor_label_column_are_needed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("video\na\n")
    listing = table.read(SPEC, SPLIT, tmp_path, task="single-label", form="clips", labels=False)
    assert listing.classes == ()
    assert listing.segments == (Segment(id="a", video_id="a", split="train"),)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeffvideo,label\r\na,open\r\n", id="spreadsheet: BOM and CRLF"),
        pytest.param('video,label\n"a","open"', id="quotes, no end of line"),
        pytest.param(" video , label\n a , open \n\n", id="spaces and an empty line"),
        pytest.param('video;label\na;"open"\n', id="semicolons"),
    ],
)
def test_ways_to_write_csv(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).segments == (
        Segment(id="a", video_id="a", split="train", labels=(0,)),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,label\na,opne", "line 2: unknown class 'opne'; the nearest is 'open'"),
        ("video,label\na,", "line 2: unknown class ''"),
        (
            "video,label,split\na,open,vall",
            "line 2: unknown split 'vall'; the nearest is 'validation'",
        ),
        ("video,label,split\na,open,", "line 2: unknown split ''"),
        (
            "video,label\na,open\na,close",
            "line 3: segment 'a' is listed before; give each row an id",
        ),
        ("video,lable\na,open", "line 1: wanted a column 'label', found video, lable"),
        ("video,label,spilt\na,open,train", "unknown column 'spilt'; the nearest is 'split'"),
        ("video,label,label\na,open,open", "wanted each column once"),
        ("", "line 1: wanted a column 'video', found nothing"),
        ("video,label\na", "line 2: wanted 2 cells, found 1"),
        ("video,label\na,open,x", "line 2: wanted 2 cells, found 3"),
        ('video,label\n"a,open', "is not CSV"),
        (
            "video,label,start,stop\na,open,2,1",
            "line 2: wanted stop after start, found start 2.0 and stop 1.0",
        ),
        ("video,label,start,stop\na,open,x,1", "line 2: wanted start in seconds from 0, found 'x'"),
        (
            "video,label,start,stop\na,open,0,inf",
            "line 2: wanted stop in seconds from 0, found 'inf'",
        ),
        (
            "video,label,start,stop\na,open,0,nan",
            "line 2: wanted stop in seconds from 0, found 'nan'",
        ),
        (
            "video,label,start,stop\na,open,-1,2",
            "line 2: wanted start in seconds from 0, found '-1'",
        ),
    ],
)
def test_refusals_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 't.csv'}: ")
    assert message in str(caught.value)


def test_segments_need_times(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="wanted stop in seconds from 0, found ''"):
        read(tmp_path, "video,label,start,stop\na,open,1,", form="segments")


@pytest.mark.parametrize(
    "video_id",
    [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/..",
        "a//b",
        "a/",
        ".",
        "a/./b",
        "a\x00b",
        "a\x1b[2J",
        "a\u202eb",
        "x" * 1001,
    ],
)
def test_ids_that_would_leave_the_folder_are_refused(tmp_path: Path, video_id: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, f'video,label\n"{video_id}",open\n')
    assert f"line 2: video id {video_id[:80]!r} " in str(caught.value)


def test_empty_id(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="line 2: video id '' is empty"):
        read(tmp_path, "video,label\n,open\n")


def test_the_first_problems_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    rows = "".join(f"v{number},wrong\n" for number in range(12))
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, "video,label\n" + rows)
    assert "12 problems: line 2: " in str(caught.value)
    assert str(caught.value).endswith("; and 7 more")
    assert str(caught.value).count("unknown class") == 5


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("open\nopen", "line 2: class 'open' is listed before"),
        ("open\n\nclose", "line 2: wanted a class name, found nothing"),
        ("", "wanted class names, found none"),
    ],
)
def test_class_names_that_are_refused(tmp_path: Path, classes: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read(tmp_path, "video,label\na,open\n", classes=classes)


@pytest.mark.parametrize("name", ["t.csv", "c.txt"])
def test_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    read(tmp_path, "video,label\na,open\n")
    (tmp_path / name).unlink()
    with pytest.raises(DataRootError, match=f"{tmp_path / name}: no such file"):
        table.read(SPEC, SPLIT, tmp_path, task="single-label", form="clips", labels=True)


def test_file_that_is_not_text(tmp_path: Path) -> None:
    read(tmp_path, "video,label\na,open\n")
    (tmp_path / "t.csv").write_bytes(b"video,label\n\xff,open\n")
    with pytest.raises(ManifestError, match="wanted UTF-8 text"):
        table.read(SPEC, SPLIT, tmp_path, task="single-label", form="clips", labels=True)
