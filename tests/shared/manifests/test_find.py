"""Finding the files of listed videos."""

import logging
import os
from pathlib import Path

import pytest

from orn.shared.errors import DataRootError
from orn.shared.manifests.find import FoundVideo, expand, find_ids, find_videos, named_folders


def find(folder: Path, *ids: str, pattern: str = "videos/{id}.mp4", are_folders: bool = False):
    return find_videos(folder, pattern, ids, are_folders=are_folders)


@pytest.mark.parametrize(
    ("pattern", "video_id", "wanted"),
    [
        ("videos/{id}.mp4", "a/b", "videos/a/b.mp4"),
        ("videos/{person}/{id}.MP4", "P01_02", "videos/P01/P01_02.MP4"),
        ("{id}/clip.mp4", "{person}", "{person}/clip.mp4"),
    ],
)
def test_expand(pattern: str, video_id: str, wanted: str) -> None:
    assert expand(pattern, video_id) == wanted


def test_exact_name(tmp_path: Path, write) -> None:
    path = write(tmp_path / "videos" / "x" / "a.mp4")
    assert find(tmp_path, "x/a", "x/b", "y/a") == {
        "x/a": FoundVideo(path=path, ignoring_case=False)
    }


@pytest.mark.parametrize("place", ["o/a.mp4", "O/A.mp4", "o/A.MP4"])
def test_name_in_other_case(tmp_path: Path, write, place: str) -> None:
    path = write(tmp_path / "videos" / place)
    assert find(tmp_path, "O/a") == {"O/a": FoundVideo(path=path, ignoring_case=True)}


def test_exact_name_goes_before_other_case(tmp_path: Path, write) -> None:
    write(tmp_path / "videos" / "o" / "a.mp4")
    path = write(tmp_path / "videos" / "O" / "a.mp4")
    assert find(tmp_path, "O/a") == {"O/a": FoundVideo(path=path, ignoring_case=False)}


def test_folder_of_the_exact_name_may_lack_the_file(tmp_path: Path, write) -> None:
    write(tmp_path / "videos" / "O" / "b.mp4")
    path = write(tmp_path / "videos" / "o" / "a.mp4")
    assert find(tmp_path, "O/a")["O/a"].path == path


def test_file_of_another_id_is_not_taken(tmp_path: Path, write, caplog) -> None:
    path = write(tmp_path / "videos" / "a.mp4")
    with caplog.at_level(logging.WARNING):
        assert find(tmp_path, "A", "a") == {"a": FoundVideo(path=path, ignoring_case=False)}
    assert "a.mp4 is not taken for the video 'A'" in caplog.text


def test_two_ids_that_ask_for_one_file_in_other_case_get_none(tmp_path: Path, write) -> None:
    write(tmp_path / "videos" / "abc.mp4")
    assert find(tmp_path, "Abc", "aBc") == {}


def test_folders_are_no_files_and_files_no_folders(tmp_path: Path, write) -> None:
    write(tmp_path / "frames" / "a" / "1.jpg")
    write(tmp_path / "frames" / "b")
    (tmp_path / "frames" / "c.mp4").mkdir()
    assert list(find(tmp_path, "a", "b", pattern="frames/{id}", are_folders=True)) == ["a"]
    assert list(find(tmp_path, "a", "b", pattern="frames/{id}")) == ["b"]
    assert list(find(tmp_path, "c", pattern="frames/{id}.mp4")) == []


def test_ids_that_no_table_holds_are_left_out(tmp_path: Path, write, caplog) -> None:
    for name in (b"a", b"\xff", b"b\x1b[31m"):
        write(tmp_path / "videos" / os.fsdecode(name + b".mp4"))
    with caplog.at_level(logging.WARNING):
        assert find_ids(tmp_path, "videos/{id}.mp4", are_folders=False) == ("a",)
    assert "2 videos left out" in caplog.text
    assert "rename" in caplog.text


def test_ids_that_no_disk_can_hold_are_absent(tmp_path: Path, write) -> None:
    write(tmp_path / "videos" / "a.mp4")
    assert find(tmp_path, "x" * 999) == {}


ACCENTED = "caf\u00e9"
"""NFC: the accent is part of the letter."""
APART = "cafe\u0301"
"""The same in NFD, as macOS writes it."""


@pytest.mark.parametrize(("listed", "there"), [(ACCENTED, APART), (APART, ACCENTED)])
def test_accents_written_in_another_way(
    tmp_path: Path, write, caplog, listed: str, there: str
) -> None:
    path = write(tmp_path / "videos" / there / f"{there}.mp4")
    ids = (f"{listed}/{listed}", f"{listed}/other")
    assert find(tmp_path, *ids) == {ids[0]: FoundVideo(path=path, ignoring_case=True)}
    both = write(tmp_path / "videos" / there / f"{listed}.mp4")
    assert find(tmp_path, *ids)[ids[0]].path == both


def test_two_ids_of_one_accented_name_get_none(tmp_path: Path, write, caplog) -> None:
    write(tmp_path / "videos" / f"{APART}.mp4")
    with caplog.at_level(logging.WARNING):
        assert find(tmp_path, ACCENTED, ACCENTED.upper()) == {}
    assert "is not taken for the video" in caplog.text


def test_where_the_user_and_the_manifest_put_videos(tmp_path: Path) -> None:
    folder, path = tmp_path / "set", tmp_path / "set" / "a" / "B" / "P01" / "x.mp4"
    named = named_folders(folder, "a/b/{person}/{id}.mp4", [path], tmp_path)
    assert named == {path: (tmp_path, folder, folder / "a", folder / "a" / "B")}


def test_folder_that_cannot_be_read(tmp_path: Path, write, monkeypatch) -> None:
    write(tmp_path / "videos" / "a.mp4")

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(DataRootError, match=r"cannot be read \(Permission denied\)"):
        find(tmp_path, "A")


@pytest.mark.parametrize(
    ("pattern", "are_folders", "wanted"),
    [
        ("videos/{id}.mp4", False, ("P01/P01_01", "a")),
        ("videos/{person}/{id}.mp4", False, ("P01_01",)),
        ("frames/{id}", True, ("b", "b/c")),
        ("none/{id}", False, ()),
        ("{id}.txt", False, ("x",)),
    ],
)
def test_ids_on_disk(
    tmp_path: Path, write, pattern: str, are_folders: bool, wanted: tuple[str, ...]
) -> None:
    for name in (
        "videos/a.mp4",
        "videos/P01/P01_01.mp4",
        "videos/n.avi",
        "frames/b/c/1.jpg",
        "x.txt",
    ):
        write(tmp_path / name)
    assert find_ids(tmp_path, pattern, are_folders=are_folders) == wanted
