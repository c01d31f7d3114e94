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
    """Paths of all records in the history, within their folder."""
    if shutil.which("git") is None or _git("rev-parse", "--is-shallow-repository") != "false\n":
        pytest.skip("needs the whole history of the repository")
    words = ("log", "--format=", "--no-renames", "--diff-filter=A", "--name-only")
    paths = _git(*words, "--", "benchmarks/results/real").split()
    return {path.removeprefix("benchmarks/results/real/") for path in paths}


def test_every_record_is_there_or_withdrawn_with_a_reason() -> None:
    """Those of an earlier recipe are in the folder of its release."""
    there = {path.relative_to(RESULTS).as_posix() for path in RESULTS.rglob("*.json")}
    moved = {path.partition("/")[2] for path in there}
    withdrawn = json.loads((RESULTS / "withdrawn.json").read_text())
    gone = _ever_committed() - there - moved
    unexplained = {name for name in gone if not any(fnmatch(name, own) for own in withdrawn)}
    assert not unexplained, "restore these records, or withdraw them with a reason"
    assert all(withdrawn.values())
    assert all(any(fnmatch(name, own) for name in gone) for own in withdrawn)
