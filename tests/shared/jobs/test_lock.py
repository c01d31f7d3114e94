"""A lock that vanishes with the process that holds it."""

import os
from pathlib import Path

import pytest

from orn.shared.errors import PipelineError
from orn.shared.jobs.lock import is_locked, lock_path, locked


def test_the_lock_file_is_there_while_held(tmp_path: Path) -> None:
    path = tmp_path / "new" / "thing.h5"
    with locked(path, job="orn thing"):
        assert lock_path(path).read_text() == f"{os.getpid()}\n"
        path.touch()
    assert list(path.parent.iterdir()) == [path]
    lock_path(path).write_text("a longer line, which a process that was killed left\n")
    with locked(path, job="orn thing"):
        assert lock_path(path).read_text() == f"{os.getpid()}\n"


def test_held_once(tmp_path: Path) -> None:
    path = tmp_path / "thing.h5"
    with locked(path, job="orn thing"):
        message = rf"thing\.h5: another `orn thing` \(process {os.getpid()}\) is writing to it"
        with pytest.raises(PipelineError, match=message), locked(path, job="orn thing"):
            pytest.fail("held twice")
        with locked(tmp_path / "other.h5", job="orn thing"):
            lock_path(path).write_bytes(b"\xff7")
        with pytest.raises(PipelineError, match=r"process .7\)"), locked(path, job="orn thing"):
            pytest.fail("held twice")
    with locked(path, job="orn thing"):
        pass


def test_a_link_is_not_locked_in_place_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    lock_path(tmp_path / "x").symlink_to(tmp_path / "precious")
    with (
        pytest.raises(PipelineError, match="expected a lock file, got a link"),
        locked(tmp_path / "x", job="orn x"),
    ):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_asking_whether_a_job_holds_something_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "thing.h5"
    assert not is_locked(path)
    assert list(tmp_path.iterdir()) == []
    with locked(path, job="orn thing"):
        assert is_locked(path) and is_locked(path)
    lock_path(path).write_text("1\n")  # of a process that was killed
    assert not is_locked(path)
    with locked(path, job="orn thing"):
        pass
