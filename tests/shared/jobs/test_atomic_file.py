"""Whole files or none, on a disk that fails, beside writers that died."""

import errno
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import (
    lock_path,
    locked,
    remove_stale_temporaries,
    replacing,
    write_bytes,
    write_text,
)


def test_writes_whole_files_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_bytes(path, b"three")
    assert path.read_bytes() == b"three"
    write_text(path, json.dumps({"path": "ü — \udcff"}, ensure_ascii=False))  # no UTF-8
    assert json.loads(path.read_bytes()) == {"path": "ü — \udcff"}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt()])
def test_a_block_that_raises_changes_nothing(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "a"
    write_text(target, "old")
    with pytest.raises(type(error)), replacing(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".a.tmp-")
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_file_and_folder_are_synced_around_the_rename(tmp_path, monkeypatch) -> None:
    steps = Mock()
    steps.attach_mock(Mock(side_effect=os.fsync), "sync")
    steps.attach_mock(Mock(side_effect=os.replace), "rename")
    monkeypatch.setattr(os, "fsync", steps.sync)
    monkeypatch.setattr(Path, "replace", lambda path, target: steps.rename(path, target))
    write_text(tmp_path / "a", "x")
    assert [name for name, *_ in steps.mock_calls] == ["sync", "rename", "sync"]


def test_a_disk_that_fails_is_told_with_the_file(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PipelineError, match="file/a: could not be written"):
        write_text(tmp_path / "file" / "a", "x")
    (tmp_path / "file").unlink()
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(PipelineError, match=r"plan\.json: could not be written \(No space left"):
        write_text(tmp_path / "plan.json", "x")
    assert list(tmp_path.iterdir()) == []


HOST = re.sub("[^A-Za-z0-9.]", "_", socket.gethostname())


def test_only_what_dead_writers_left_is_removed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    stale = tmp_path / f".a.zip.tmp-{HOST}-{process.pid}-0123abcd"
    old = tmp_path / ".b.zip.tmp-elsewhere-1-0123abcd"
    kept = [
        tmp_path / f".c.zip.tmp-{HOST}-{os.getpid()}-0123abcd",
        tmp_path / f".d.zip.tmp-elsewhere-{process.pid}-0123abcd",
        tmp_path / ".e.zip.tmp-mine",
        tmp_path / "f.zip",
    ]
    for path in [stale, old, *kept]:
        path.touch()
    os.utime(old, (0, 0))
    remove_stale_temporaries(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    remove_stale_temporaries(tmp_path / "absent")


def test_held_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "thing.h5"
    with locked(path, job="orn thing"):
        assert lock_path(path).read_text() == f"{os.getpid()}\n"
        path.touch()
        message = rf"thing\.h5: another `orn thing` \(process {os.getpid()}\) is writing to it"
        with pytest.raises(PipelineError, match=message), locked(path, job="orn thing"):
            pytest.fail("held twice")
        with locked(tmp_path / "other.h5", job="orn thing"):
            lock_path(path).write_bytes(b"\xff7")
        with pytest.raises(PipelineError, match=r"process .7\)"), locked(path, job="orn thing"):
            pytest.fail("held twice")
    assert list(path.parent.iterdir()) == [path]
    lock_path(path).write_text("a longer line, which a process that was killed left\n")
    with locked(path, job="orn thing"):
        assert lock_path(path).read_text() == f"{os.getpid()}\n"


def test_a_link_is_not_locked_in_place_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    lock_path(tmp_path / "x").symlink_to(tmp_path / "precious")
    with (
        pytest.raises(PipelineError, match="expected a lock file, got a link"),
        locked(tmp_path / "x", job="orn x"),
    ):
        pass
    assert (tmp_path / "precious").read_text() == "mine"
