"""What `make` would run, seen without running it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(
    *arguments: str, folder: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which("make") or "make", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def last_line(*arguments: str) -> str:
    """What a target runs once .venv is there."""
    process = make("-n", f"PYTHON={sys.executable}", *arguments)  # nothing looks for one
    assert process.returncode == 0, process.stderr
    return " ".join(process.stdout.splitlines()[-1].split())


def test_make_alone_prints_help() -> None:
    output = make().stdout
    assert "make demo " in output
    assert "make clean " in output


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("release",), f"ORN_DIST={ROOT}/dist .venv/bin/python -m pytest tests/test_package.py"),
        (("demo", "SEED=3", "ARGS=--json"), ".venv/bin/orn demo --seed 3 --json"),
        (
            ("detect", "DATASET=vlog", "DATA=/d", "OUT=/o", "CHECKPOINT=c.pth", "ARGS=--limit 2"),
            ".venv/bin/orn detect vlog --data /d --out /o --checkpoint c.pth --limit 2",
        ),
        (
            ("train", "DATASET=epic", "RUN=runs/x", "SEED=1"),
            ".venv/bin/orn train epic --run runs/x --seed 1",
        ),
        (("eval", "RUN=runs/x", "DATA=/d"), ".venv/bin/orn eval runs/x --data /d"),
        (("eval", "DATASET=epic"), ".venv/bin/orn eval --dataset epic"),
        (("detect",), ".venv/bin/orn detect demo"),
        (("verify", "SHARD=shards/vlog"), ".venv/bin/orn verify shards/vlog"),
        (
            ("test", "ARGS=-k shards"),
            '.venv/bin/python -m pytest -n auto --dist worksteal -m "not slow and not ray" '
            "-k shards",
        ),
        (
            ("lint",),
            ".venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy",
        ),
    ],
)
def test_variables_become_options(arguments: tuple[str, ...], wanted: str) -> None:
    assert last_line(*arguments) == wanted


def fake_python(path: Path, exit_code: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without .venv, and a path with only what make needs."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    (tmp_path / "bin").mkdir()
    for name in ("sh", "touch"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    return folder


def test_no_interpreter_is_told(checkout: Path, tmp_path: Path) -> None:
    fake_python(tmp_path / "shims" / "python3.11", 127)
    process = make("setup", folder=checkout, PATH=f"{tmp_path / 'shims'}:{tmp_path / 'bin'}")
    assert process.returncode != 0
    assert "expected Python 3.11 to 3.13" in process.stderr
    assert not (checkout / ".venv").exists()
