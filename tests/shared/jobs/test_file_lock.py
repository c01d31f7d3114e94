"""A lock that vanishes with the process that holds it."""

import os
from pathlib import Path

import pytest

from shared.errors import PipelineError
from shared.jobs.file_lock import lock_path, locked


def test_the_lock_file_is_there_while_held(tmp_path: Path) -> None:
    path = tmp_path / "new" / "thing.h5"
    with locked(path, job="orn thing"):
        assert lock_path(path).read_text() == f"{os.getpid()}\n"
    assert list(path.parent.iterdir()) == []


def test_held_once(tmp_path: Path) -> None:
    path = tmp_path / "thing.h5"
    with locked(path, job="orn thing"):
        message = rf"thing\.h5: another `orn thing` \(process {os.getpid()}\) is writing it"
        with pytest.raises(PipelineError, match=message), locked(path, job="orn thing"):
            pytest.fail("held twice")
        with locked(tmp_path / "other.h5", job="orn thing"):
            pass
    with locked(path, job="orn thing"):
        pass


def test_released_by_an_error(tmp_path: Path) -> None:
    path = tmp_path / "thing.h5"
    with pytest.raises(ZeroDivisionError), locked(path, job="orn thing"):
        raise ZeroDivisionError
    assert not lock_path(path).exists()


def test_a_file_that_a_killed_process_left_locks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "thing.h5"
    lock_path(path).write_text("a longer line than the number of a process\n")
    with locked(path, job="orn thing"):
        assert lock_path(path).read_text() == f"{os.getpid()}\n"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lock = locked(tmp_path / "file" / "thing.h5", job="orn thing")
    with pytest.raises(PipelineError, match=r"\.thing\.h5\.lock: cannot be locked"), lock:
        pytest.fail("locked")
