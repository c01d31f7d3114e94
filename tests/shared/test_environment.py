"""Versions and commit."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from orn.shared import environment
from orn.shared.environment import (
    describe_environment,
    git_commit,
    library_versions,
    requirements,
    usable_cores,
)


def test_requirements_are_those_of_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["torch>=2.6", "mmdet<3.4,>=3.3", "old (>=1)", "plain", 'pytest>=8; extra == "dev"']
    monkeypatch.setattr(environment.metadata, "requires", lambda name: texts)
    wanted = {"torch": ">=2.6", "mmdet": "<3.4,>=3.3", "old": ">=1", "plain": ""}
    assert requirements() == wanted


def test_usable_cores_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5}, raising=False)
    assert usable_cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == 64


def test_versions_of_this_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = library_versions()
    assert versions["object-relation-network"] != "absent"
    assert versions["numpy"][0].isdigit()
    assert "pytest" not in versions
    assert json.loads(json.dumps(describe_environment())) == describe_environment()
    monkeypatch.setattr(environment, "requirements", lambda: {"none-such-library": ""})
    assert library_versions()["none-such-library"] == "absent"


def git(folder: Path, *arguments: str) -> str:
    name = ["-c", "user.name=t", "-c", "user.email=t@t"]
    process = subprocess.run(
        ["git", "-C", str(folder), *name, *arguments], check=True, capture_output=True, text=True
    )
    return process.stdout.strip()


def test_commit_of_a_checkout(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(tmp_path) == commit
    (tmp_path / "untracked").write_text("2")
    assert git_commit(tmp_path) == commit
    (tmp_path / "file").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty"
    (tmp_path / "site-packages").mkdir()
    assert git_commit(tmp_path / "site-packages") is None  # inside the checkout of another
