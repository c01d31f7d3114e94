"""A table that grows: no video moves, no class gets another number, and labels can be corrected."""

import csv
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from orn.data_manifests.load import load_dataset, load_manifest
from orn.data_manifests.records import fold_names
from orn.shared.errors import ManifestError
from tests.processes import start_alone

CLASSES = ("close", "open", "pour")
DRAWN = {
    "split": ("--split", "60/20/20"),
    "folds": ("--folds", "4"),
    "seed": ("--folds", "4", "--seed", "5"),
}


def rows_of(numbers: range, *, by_person: int = 2) -> list[str]:
    return [f"v{n},{CLASSES[n % 3]},p{n // by_person}" for n in numbers]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of 50 videos of 25 persons in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORN_DATA", raising=False)
    path = tmp_path / "kitchen" / "labels.csv"
    write_table(path, rows_of(range(50)))
    return path


def write_table(path: Path, rows: list[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["video,label,group", *rows, ""]))
    for row in rows:
        (path.parent / f"{row.split(',')[0]}.mp4").touch()


@pytest.fixture
def update(orn: Callable[..., Any], table: Path) -> Callable[..., Any]:
    def run(*options: object, exit_code: int = 0) -> Any:
        ran = orn("manifest", "update", table, *options, "--json", exit_code=exit_code)
        return ran.json if exit_code == 0 else ran.stderr

    return run


def all_splits(table: Path) -> dict[str, list[str]]:
    with (table.parent / "split.csv").open() as file:
        return {video: splits for video, *splits in csv.reader(file)}


@pytest.mark.parametrize("drawn", DRAWN)
def test_new_videos_join_and_no_other_moves(table, orn, update, drawn) -> None:
    orn("manifest", "new", table, *DRAWN[drawn])
    before = all_splits(table)
    assert update()["files"] == []
    # five videos: of a known person, of two new ones, and a class of its own
    more = ["v50,open,p3", "v51,open,p30", "v52,pour,p30", "v53,dry,p31", "v54,dry,p32"]
    write_table(table, [*rows_of(range(2, 50)), *more])  # two are gone
    assert update("--dry-run")["new_classes"] == ["dry"]
    assert all_splits(table) == before
    report = update()
    after = all_splits(table)
    assert list(report["new_videos"]) == ["v50", "v51", "v52", "v53", "v54"]
    assert report["removed_videos"] == ["v0", "v1"]
    assert {video: after[video] for video in before} == before
    assert after["v50"] == before["v6"], "of the same person"
    assert after["v51"] == after["v52"]
    assert (table.parent / "classes.txt").read_text() == "close\nopen\npour\ndry\n"
    assert update()["files"] == []
    for fold in fold_names(4) if drawn != "split" else (None,):
        manifest = load_manifest("kitchen.toml")
        if fold is not None:
            labels = manifest.labels.model_copy(update={"split": fold})
            manifest = manifest.model_copy(update={"labels": labels})
        dataset = load_dataset(manifest, table.parent.parent)
        assert len(dataset.segments) == 53
        tested = Counter(segment.split for segment in dataset.segments)
        assert min(tested.values()) > 0


def test_many_new_videos_are_shared_out_like_the_first(table, orn, update) -> None:
    orn("manifest", "new", table, "--split", "60/20/20")
    write_table(table, rows_of(range(150), by_person=1))
    update()
    rows = list(csv.DictReader((table.parent / "split.csv").open()))
    counts = Counter(row["split"] for row in rows if int(row["video"][1:]) >= 50)
    assert counts == {"train": 60, "validation": 20, "test": 20}


def test_labels_are_corrected_once(table, orn, update, tmp_path) -> None:
    orn("manifest", "new", table, "--split", "60/20/20")
    corrections = tmp_path / "corrections.csv"
    corrections.write_text(
        "id,verdict,label\nv3,wrong,open\nv4,right,\nv5,leave out,\nv7,wrong,wipe; dry\n"
    )
    before = table.read_text()
    report = update("--corrections", corrections)
    assert (report["corrected"], report["left_out"]) == (["v3", "v7"], ["v5"])
    assert report["new_classes"] == ["wipe; dry"]
    assert table.with_name("labels.previous.csv").read_text() == before
    labels = dict(row[:2] for row in csv.reader(table.open()))
    assert labels["v3"] == "open" and labels["v7"] == "wipe; dry" and "v5" not in labels
    assert labels["v4"] == "open"
    again = update("--corrections", corrections)
    assert again["files"] == []
    assert table.with_name("labels.previous.csv").read_text() == before


def test_a_table_of_a_spreadsheet_keeps_its_line_ends_and_its_mark(table, orn, update, tmp_path):
    text = table.read_text().replace("\n", "\r\n")
    table.write_bytes(b"\xef\xbb\xbf" + text.encode())
    orn("manifest", "new", table, "--split", "60/20/20")
    corrections = tmp_path / "corrections.csv"
    corrections.write_text("id,verdict,label\nv3,wrong,open\n")
    update("--corrections", corrections)
    changed = text.replace("v3,close,p1", "v3,open,p1")
    assert changed != text
    assert table.read_bytes() == b"\xef\xbb\xbf" + changed.encode()


UNREADABLE = ("a\x0bb", "a\x1cb", "a\x85b", "a\u202eb", "a\u2066b", "\ufeffb", "")


@pytest.mark.parametrize(
    ("way", "label"),
    [
        *product(("update", "corrections"), UNREADABLE),
        *product(("new",), UNREADABLE[:-1]),  # no label: a clip without a class, of several
    ],
)
def test_a_class_is_written_only_if_it_can_be_read(table, orn, tmp_path, way, label) -> None:
    if way != "new":
        orn("manifest", "new", table, "--split", "60/20/20")
    before = contents(table.parent)
    words: list[object] = ["manifest", "new" if way == "new" else "update", table]
    if way == "corrections":
        path = tmp_path / "corrections.csv"
        path.write_text(f"id,verdict,label\nv3,wrong,{label}\n")
        words += ["--corrections", path]
    else:
        table.write_text(f"{table.read_text()}v50,{label},p30\n")
        before[table] = table.read_bytes()
    refused = orn(*words, exit_code=1).stderr
    assert refused.count("\n") == 1
    assert contents(table.parent) == before


def test_corrections_replace_no_other_file(table, orn, update, tmp_path) -> None:
    """Neither a file of the user nor an earlier copy; links and permissions are kept."""
    orn("manifest", "new", table)
    target, mine = tmp_path / "elsewhere.csv", table.with_name("labels.previous.csv")
    table.rename(target)
    table.symlink_to(target)
    target.chmod(0o600)
    mine.write_text("my notes")
    first = target.read_text()
    corrections = tmp_path / "corrections.csv"
    corrections.write_text("id,verdict,label\nv3,wrong,open\n")
    update("--corrections", corrections)
    second = target.read_text()
    corrections.write_text("id,verdict,label\nv5,wrong,open\n")
    update("--corrections", corrections)
    assert mine.read_text() == "my notes"
    copies = [table.with_name(f"labels.previous-{number}.csv") for number in (2, 3)]
    assert [path.read_text() for path in copies] == [first, second]
    assert table.is_symlink() and "v5,open" in target.read_text()
    assert {path.stat().st_mode & 0o777 for path in (target, *copies)} == {0o600}


REFUSED = {
    "unknown": "nobody,wrong,open",
    "unknown, left out": "nobody,leave out,",
    "no label": "v3,wrong,",
    "no verdict": "v3,perhaps,open",
    "contradictory labels": "v3,wrong,open\nv3,wrong,pour",
    "contradictory verdicts": "v3,wrong,open\nv3,right,",
    "other case": "v3,wrong,Open",
    "two new classes": "v3,wrong,Dry\nv4,wrong,dry",
}


@pytest.mark.parametrize("lines", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_corrected_changes_nothing(table, orn, tmp_path, lines) -> None:
    orn("manifest", "new", table)
    corrections, before = tmp_path / "corrections.csv", contents(table.parent)
    corrections.write_text(f"id,verdict,label\n{lines}\n")
    words = ("manifest", "update", table, "--corrections", corrections)
    assert orn(*words, exit_code=1).stderr.count("\n") == 1
    assert contents(table.parent) == before


def test_a_split_of_the_table_is_the_users(table, orn, update) -> None:
    splits = ["test", *["train"] * 4] * 2
    rows = [f"{row},{own}" for row, own in zip(rows_of(range(10)), splits, strict=True)]
    table.write_text("\n".join(["video,label,group,split", *rows, ""]))
    orn("manifest", "new", table)
    table.write_text(f"{table.read_text()}v50,dry,p3,test\n")
    (table.parent / "v50.mp4").touch()
    report = update()
    assert (report["new_videos"], report["new_classes"]) == ({}, ["dry"])
    segments = load_dataset("kitchen.toml", None).segments
    assert [own.split for own in segments if own.video_id == "v50"] == ["test"]


def test_what_lacks_a_split_or_a_class_is_sent_to_update(table, orn) -> None:
    """Commands that read no labels accept it."""
    orn("manifest", "new", table, "--split", "60/20/20")
    for row in ("v50,open,p3", "v49,dry,p24"):
        write_table(table, [*rows_of(range(49)), row])
        said = orn("manifest", "check", "kitchen.toml", exit_code=1).stdout
        assert "orn manifest update" in " ".join(said.split())
        with pytest.raises(ManifestError, match=r"orn manifest update .*labels\.csv"):
            load_dataset("kitchen.toml", None)
    write_table(table, rows_of(range(52)))
    assert len(load_dataset("kitchen.toml", None, labels=False).videos) == 52


def killed_at(number: int, words: list[str], folder: Path) -> int:
    """Run a command that is killed before the file operation of this number in a folder, from the
    folder above."""
    from orn.cli import main

    left = [number]

    def kill(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.rename", "os.remove") and folder.name in str(arguments[0]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    os.chdir(folder.parent)
    sys.addaudithook(kill)
    main(words)
    return 0


def test_an_update_that_was_killed_is_finished_by_the_same_command(table, orn, tmp_path) -> None:
    """At every operation on its files, of which there are at least 20."""
    orn("manifest", "new", table, "--folds", "4")
    write_table(table, [*rows_of(range(50)), "v50,dry,p3", "v51,dry,p30"])
    corrections = tmp_path / "corrections.csv"
    corrections.write_text("id,verdict,label\nv3,wrong,open\nv5,leave out,\n")
    words = ["manifest", "update", str(table), "--corrections", str(corrections)]
    before = contents(table.parent)
    orn(*words)
    expected = contents(table.parent)
    assert len([path for path in expected if expected[path] != before.get(path)]) == 6
    kills, states = 0, set()
    while True:
        for path in table.parent.iterdir():
            path.unlink()
        for path, content in before.items():
            path.write_bytes(content)
        output = tmp_path / "output.txt"
        process = start_alone(killed_at, kills + 1, words, table.parent, output=output)
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL, output.read_text()
        kills += 1
        states.add(tuple(sorted(contents(table.parent).items())))
        orn(*words)
        assert contents(table.parent) == expected
    assert kills >= 20 and len(states) >= 4


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.iterdir()}
