"""What a result was made with: versions, commit, cores and devices."""

import subprocess
from pathlib import Path

import pytest
import torch

from orn.shared.devices import choose_device
from orn.shared.environment import git_commit
from orn.shared.errors import ConfigError


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


# Devices ---------------------------------------------------------------------------------------


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="device cuda:1: expected a CUDA device, got none"):
        choose_device("cuda:1")
    for name in ("gpu", "meta", "mps", "cpu:1", "cuda:-1", "cuda:", ""):
        with pytest.raises(ConfigError, match=f"expected auto, cpu, cuda or cuda:N, got {name!r}"):
            choose_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == "cuda:1"
    with pytest.raises(ConfigError, match="device cuda:2: expected an index below 2"):
        choose_device("cuda:2")
    assert choose_device("auto") == "cuda"
