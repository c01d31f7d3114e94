"""Where commands may write: what an output must not replace."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from orn.shared.errors import ConfigError
from orn.shared.jobs.outputs import (
    Marker,
    begin_output_folder,
    check_output_files,
    check_output_folder,
    earlier_results,
)


def _file(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _link(path: Path, target: Path) -> Path:
    path.symlink_to(target)
    return path


OTHER_NAMES: list[Callable[[Path], Path]] = [
    lambda film: film,
    lambda film: film.parent / "." / ".." / film.parent.name / film.name,
    lambda film: _link(film.parent / "link", film),
    lambda film: (film.parent / "hard").hardlink_to(film) or film.parent / "hard",
    lambda film: _link(film.parent / "folder", film.parent) / film.name,
    lambda film: Path(os.path.relpath(film)),
]


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_an_output_is_no_input_by_any_name(tmp_path: Path, name: Callable[[Path], Path]) -> None:
    film = _file(tmp_path / "in" / "film.mp4")
    with pytest.raises(ConfigError, match=r"film\.mp4, which this command reads; choose a new"):
        check_output_files([None, name(film)], reads=[tmp_path / "absent", None, film])


def test_a_file_of_an_input_folder_is_an_input(tmp_path: Path) -> None:
    picture = _file(tmp_path / "frames" / "deep" / "0001.jpg")
    with pytest.raises(ConfigError, match=r"a file in .*frames, which this command reads"):
        check_output_files([picture], reads=[tmp_path / "frames"])
    check_output_files([picture.with_name("new.jpg")], reads=[tmp_path / "frames"])


def test_other_files_are_replaced(tmp_path: Path) -> None:
    out, film = _file(tmp_path / "out.mp4"), _file(tmp_path / "film.mp4")
    check_output_files([out, tmp_path / "new" / "deep" / "out.csv"], reads=[film])
    check_output_files([_link(tmp_path / "nowhere", tmp_path / "gone")], reads=[film])


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda folder: folder, "got a folder"),
        (lambda folder: _link(folder / "x", folder), "got a folder"),
        (lambda folder: os.mkfifo(folder / "x") or folder / "x", "got a pipe"),
        (lambda _: Path("/dev/full"), "got a device"),
        (lambda folder: _file(folder / "f") / "x" / "y", "expected a folder at .*f, got some"),
        (lambda folder: folder / ("x" * 300), "File name too long"),
    ],
)
def test_what_no_file_is_written_over(tmp_path, make, kind) -> None:
    with pytest.raises(ConfigError, match=kind):
        check_output_files([make(tmp_path)])
    assert Path("/dev/full").is_char_device()


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a separate file"):
        check_output_files([tmp_path / "a", tmp_path / "b" / ".." / "a"])


MARKER = Marker(name="made.json", mark=b'"format": "made"')
check_folder = partial(check_output_folder, marker=MARKER)


def test_a_folder_is_new_or_empty_or_marked(tmp_path: Path) -> None:
    check_folder(tmp_path / "new" / "deep")
    folder = tmp_path / "there"
    folder.mkdir()
    _file(folder / ".plan.json.lock")
    check_folder(folder)
    _file(folder / "notes.txt")
    _file(folder / MARKER.name, b"{}")
    with pytest.raises(ConfigError, match=r"there: expected a new or empty folder.*made\.json"):
        check_folder(folder)
    check_folder(folder, pattern="notes.*")
    begin_output_folder(tmp_path / "begun", MARKER)
    shutil.copy(tmp_path / "begun" / MARKER.name, folder)
    check_folder(folder)
    with pytest.raises(ConfigError, match="expected a new or empty folder, got"):
        check_output_folder(folder, marker=None)
    with pytest.raises(ConfigError, match="got a link to nothing; choose a new name"):
        check_output_folder(_link(tmp_path / "link", tmp_path / "gone"), marker=None)


def test_earlier_results_are_the_files_of_a_marked_folder(tmp_path: Path) -> None:
    """Not what a link leads to, and not what else is there."""
    folder, kept = tmp_path / "run", _file(tmp_path / "mine" / "a.bin")
    begin_output_folder(folder, MARKER)
    files = [_file(folder / "a.bin"), _file(folder / "deep" / "er" / "b.bin")]
    notes = _file(folder / "notes.txt")
    linked = _link(folder / "mine", kept.parent) / "a.bin"
    results = earlier_results(folder, [*files, linked], marker=MARKER)
    assert "2 files" in str(results)
    results.remove()
    assert sorted(folder.iterdir()) == [folder / MARKER.name, folder / "mine", notes]
    assert kept.exists()
    assert not earlier_results(tmp_path / "new", files, marker=MARKER).files


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("link", "a link"),
        (".", "the current folder"),
        ("above", "the current folder or one above"),
        ("run", "which this command reads"),
        ("mine", "without the made.json"),
    ],
)
def test_what_fresh_never_empties(tmp_path, name, got, monkeypatch) -> None:
    for place in (".", "above", "run"):
        begin_output_folder(tmp_path / place, MARKER)
    _link(tmp_path / "link", tmp_path / "run")
    reads = [_file(tmp_path / "run" / "videos" / "film.mp4")]
    _file(tmp_path / "mine" / MARKER.name, b'{"format": "theirs"}')
    (tmp_path / "above" / "current").mkdir()
    monkeypatch.chdir(tmp_path / "above" / "current" if name == "above" else tmp_path)
    with pytest.raises(ConfigError, match=got):
        earlier_results(tmp_path / name, [], marker=MARKER, reads=reads)
