"""Tables of one's own."""

from pathlib import Path

import pytest

from orn.data_manifests import table
from orn.data_manifests.manifest import TableLabels
from orn.data_manifests.records import Form, Listing, Task
from orn.shared.errors import DataRootError, ManifestError

SPEC = TableLabels(format="table", table="t.csv", classes="c.txt")


def read(
    folder: Path,
    text: str,
    *,
    task: Task = "single-label",
    form: Form = "clips",
    spec: TableLabels = SPEC,
) -> Listing:
    (folder / "t.csv").write_text(text)
    (folder / "c.txt").write_text("open\nclose\ntouch")
    return table.read(spec, folder, task=task, form=form, labels=True)


def test_segments_of_long_videos(tmp_path: Path) -> None:
    text = "id,start,stop,video,label\ns1,0,1.5,a,open\ns2,1,2,a,close\n,0.5,3,b,open\n"
    listing = read(tmp_path, text, form="segments")
    assert listing.video_ids == ("a", "b")
    assert [
        (segment.id, segment.split, segment.start_seconds, segment.stop_seconds)
        for segment in listing.segments
    ] == [("s1", "train", 0.0, 1.5), ("s2", "train", 1.0, 2.0), ("b:0.5-3", "train", 0.5, 3.0)]


def test_other_names_of_splits(tmp_path: Path) -> None:
    names = ("training", "val", "Valid", "dev", "TEST")
    rows = "".join(f"{name},open,{name}\n" for name in names)
    listing = read(tmp_path, f"video,label,split\n{rows}")
    splits = [segment.split for segment in listing.segments]
    assert splits == ["train", "validation", "validation", "validation", "test"]


def test_a_table_of_splits_beside_the_labels(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"split_table": "s.csv"})
    table_text = "video,label,group\na,open,p1\nx/b,close,p2\n"

    def splits(split_text: str, label_text: str = table_text) -> list[str]:
        (tmp_path / "s.csv").write_text(split_text)
        return [segment.split for segment in read(tmp_path, label_text, spec=spec).segments]

    assert splits("video,split\nx/b,val\na,train\ngone,test\n") == ["train", "validation"]
    for split_text, message in (
        ("a,train\n", r"t\.csv, row 3: .*'x/b'"),
        ("a,train\na,test\n", r"s\.csv, row 3: .*'a' twice"),
        ("a,tset\n", r"s\.csv, row 2: column 'split'"),
    ):
        with pytest.raises(ManifestError, match=message):
            splits(f"video,split\n{split_text}")
    (tmp_path / "s.csv").unlink()
    with pytest.raises(DataRootError, match=r"s\.csv: expected .*got none"):
        read(tmp_path, table_text, spec=spec)


@pytest.mark.parametrize(
    "video_id",
    [
        *("/etc/passwd", "../x", "a/../../x", "a/..", "a//b", "a/", ".", "a/./b", "..\\x"),
        *("a\x00b", "a\x1b[2J", "a\u202eb", "x" * 1001),
    ],
)
def test_ids_that_would_leave_the_folder_are_refused(tmp_path: Path, video_id: str) -> None:
    with pytest.raises(ManifestError, match=r"row 2: column 'video': expected (a path|printable)"):
        read(tmp_path, f'video,label\n"{video_id}",open\n')
