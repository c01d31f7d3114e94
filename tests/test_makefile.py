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
    ("arguments", "expected"),
    [
        (("demo", "SEED=3", "ARGS=--json"), ".venv/bin/orn demo --seed 3 --json"),
        (
            ("detect", "DATASET=vlog", "DATA=/d", "OUT=/o", "CHECKPOINT=c.pth", "ARGS=--limit 2"),
            ".venv/bin/orn detect vlog --data /d --out /o --checkpoint c.pth --limit 2",
        ),
        (
            ("test", "ARGS=-k shards"),
            '.venv/bin/python -m pytest -n auto --dist worksteal -m "not slow and not ray" '
            "-k shards",
        ),
    ],
)
def test_variables_become_options(arguments: tuple[str, ...], expected: str) -> None:
    assert last_line(*arguments) == expected
