"""Records of results on real videos are never deleted without a word."""

import json
import shutil
import subprocess
from fnmatch import fnmatch

import pytest

from tests.conftest import ROOT

RESULTS = ROOT / "benchmarks" / "results" / "real"


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout


def _ever_committed() -> set[str]:
    """Names of all records in the history."""
    if shutil.which("git") is None or _git("rev-parse", "--is-shallow-repository") != "false\n":
        pytest.skip("needs the whole history of the repository")
    words = ("log", "--format=", "--no-renames", "--diff-filter=A", "--name-only")
    paths = _git(*words, "--", "benchmarks/results/real").split()
    return {path.rpartition("/")[2] for path in paths}


def test_every_record_is_there_or_withdrawn_with_a_reason() -> None:
    there = {path.name for path in RESULTS.iterdir()}
    withdrawn = json.loads((RESULTS / "withdrawn.json").read_text())
    gone = _ever_committed() - there
    unexplained = {name for name in gone if not any(fnmatch(name, own) for own in withdrawn)}
    assert not unexplained, "restore these records, or withdraw them with a reason"
    assert all(withdrawn.values())
    assert all(any(fnmatch(name, own) for name in gone) for own in withdrawn)
