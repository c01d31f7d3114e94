"""Where commands may write: what an output must not replace."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orn.shared.errors import ConfigError
from orn.shared.jobs.outputs import check_output_files, check_output_folder


def _file(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _link(path: Path, target: Path) -> Path:
    path.symlink_to(target)
    return path


def _hard_link(path: Path, target: Path) -> Path:
    path.hardlink_to(target)
    return path


def _pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


OTHER_NAMES: list[Callable[[Path], Path]] = [
    lambda film: film,
    lambda film: film.parent / "." / ".." / film.parent.name / film.name,
    lambda film: _link(film.parent / "link", film),
    lambda film: _hard_link(film.parent / "hard", film),
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
    ("make", "found"),
    [
        (lambda folder: folder, "got a folder"),
        (lambda folder: _link(folder / "x", folder), "got a folder"),
        (lambda folder: _pipe(folder / "x"), "got a pipe"),
        *((lambda _, name=name: Path("/dev", name), "got a device")
          for name in ("full", "null", "stdout", "fd/1", "new")),
        (lambda folder: _file(folder / "f") / "x" / "y", "expected a folder at .*f, got some"),
        (lambda folder: folder / ("x" * 300), "File name too long"),
    ],
)  # fmt: skip
def test_what_no_file_is_written_over(
    tmp_path: Path, make: Callable[[Path], Path], found: str
) -> None:
    with pytest.raises(ConfigError, match=found):
        check_output_files([make(tmp_path)])
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    for check in (lambda path: check_output_files([path]), check_folder):
        with pytest.raises(ConfigError, match="a writable folder"):
            check(tmp_path / "new")


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a separate file"):
        check_output_files([tmp_path / "a", tmp_path / "b" / ".." / "a"])


def check_folder(folder: Path) -> None:
    check_output_folder(folder, ours=["plan.json", "shard-*.zip"])


def test_a_folder_is_new_or_empty_or_ours(tmp_path: Path) -> None:
    check_folder(tmp_path / "new" / "deep")
    folder = tmp_path / "there"
    folder.mkdir()
    _file(folder / ".plan.json.lock")
    check_folder(folder)
    _file(folder / "notes.txt")
    with pytest.raises(ConfigError, match=r"there: expected a new or empty folder.*notes\.txt"):
        check_folder(folder)
    _file(folder / "shard-7.zip")
    check_folder(folder)
    with pytest.raises(ConfigError, match="expected a new or empty folder, got"):
        check_output_folder(folder, ours=())
    with pytest.raises(ConfigError, match="which this command reads"):
        check_output_folder(folder, ours=["*"], reads=[tmp_path / "there" / "."])


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda folder: _file(folder / "x"), "expected an output folder, got a file"),
        (lambda folder: _pipe(folder / "x"), "got a pipe"),
        (lambda folder: Path("/dev/null"), "got a device"),
    ],
)
def test_what_is_no_folder(tmp_path: Path, make: Callable[[Path], Path], found: str) -> None:
    with pytest.raises(ConfigError, match=found):
        check_folder(make(tmp_path))
