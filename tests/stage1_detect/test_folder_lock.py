from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from shared.errors import PipelineError
from shared.jobs.file_lock import lock_path
from stage1_detect import folder_lock
from stage1_detect.folder_lock import folder_locked


def test_one_job_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    with folder_locked(folder):
        message = rf"another `orn detect or .*\(process {os.getpid()}\) is writing it"
        with pytest.raises(PipelineError, match=message), folder_locked(folder):
            pass
        (folder / "plan.json").touch()
    with folder_locked(folder):
        pass
    assert [path.name for path in folder.iterdir()] == ["plan.json"]


def test_a_folder_made_for_nothing_goes_again_and_an_old_one_stays(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.mkdir()
    for folder in (new, old):
        with pytest.raises(ZeroDivisionError), folder_locked(folder):
            raise ZeroDivisionError
    assert (new.exists(), old.exists()) == (False, True)


def test_a_folder_that_nobody_can_write_to_is_not_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with folder_locked(tmp_path):
        assert not lock_path(tmp_path / "plan.json").exists()


@pytest.mark.parametrize(
    ("number", "goes_on"),
    [pytest.param(errno.ENOSYS, True, id="no locks"), pytest.param(errno.EIO, False, id="broken")],
)
def test_a_disk_without_locks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
    goes_on: bool,
) -> None:
    def refuse(path: Path, *, job: str) -> Any:
        raise PipelineError(f"{path}: cannot be locked") from OSError(number, "refused")

    monkeypatch.setattr(folder_lock, "locked", refuse)
    passed = False
    try:
        with caplog.at_level(logging.WARNING), folder_locked(tmp_path):
            passed = True
    except PipelineError:
        assert not goes_on
    assert passed == goes_on == ("make sure that no other job" in caplog.text)
