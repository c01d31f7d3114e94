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


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("release",), f"ORN_DIST={ROOT}/dist .venv/bin/python -m pytest tests/test_package.py"),
        (("demo", "SEED=3", "ARGS=--short"), ".venv/bin/orn demo --seed 3 --short"),
        (
            ("detect", "DATASET=vlog", "DATA=/d", "OUT=/o", "CHECKPOINT=c.pth", "ARGS=--limit 2"),
            ".venv/bin/orn detect vlog --data /d --out /o --checkpoint c.pth --limit 2",
        ),
        (
            ("train", "DATASET=epic", "RUN=runs/x", "SEED=1"),
            ".venv/bin/orn train epic --run runs/x --seed 1",
        ),
        (("eval", "RUN=runs/x", "DATA=/d"), ".venv/bin/orn eval runs/x --data /d"),
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


def test_all_tests_are_run_those_with_a_cluster_alone() -> None:
    process = make("-n", f"PYTHON={sys.executable}", "test-all", "ARGS=-x")
    beside, alone = process.stdout.splitlines()[-2:]
    assert beside == '.venv/bin/python -m pytest -n auto --dist worksteal -m "not ray" -x'
    assert alone.startswith(".venv/bin/python -m pytest -m ray -x")
