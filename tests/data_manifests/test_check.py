"""What `orn manifest check` and `orn manifest list` say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.datasets import write_dataset

Check = Callable[..., Any]


@pytest.fixture
def check(orn, mine: Path) -> Check:
    """The report of `orn manifest check` on the data set as it is, and how the command ended."""

    def report(*options: str, exit_code: int) -> dict[str, Any]:
        words = ("manifest", "check", mine, "--data", mine.parent, "--json", *options)
        report: dict[str, Any] = orn(*words, exit_code=exit_code).json
        return report

    return report


def test_report(check: Check, mine: Path, orn) -> None:
    (mine.parent / "mine" / "classes.txt").write_text("open\nclose\ntouch\n")
    report = check(exit_code=3)  # one of three videos is missing
    assert report["videos"] == {"listed": 3, "present": 2}
    assert report["splits"] == {
        "train": {"listed": 1, "present": 1},
        "validation": {"listed": 1, "present": 1},
        "test": {"listed": 1, "present": 0},
    }
    assert report["class_counts"]["open"] == {"train": 1, "validation": 0, "test": 1}
    assert report["classes"] == 3
    assert report["missing"] == ["c"]
    assert "train split: no clip of 2 classes: close, touch" in report["warnings"]
    lines = orn("manifest", "check", mine, "--data", mine.parent, exit_code=3).stdout.splitlines()
    assert "open 1 0 1" in {" ".join(line.split()) for line in lines}
    (mine.parent / "mine" / "videos" / "C.mp4").touch()
    assert check(exit_code=0)["ignoring_case"] == ["c"]


def test_without_videos_nothing_can_be_done(check: Check, mine: Path) -> None:
    for video in (mine.parent / "mine" / "videos").iterdir():
        video.unlink()
    assert "no video was found" in check(exit_code=1)["warnings"][0]


def test_unsure_labels_are_counted(tmp_path: Path, orn) -> None:
    manifest = write_dataset(tmp_path, "vlog") / "m.toml"
    report = orn("manifest", "check", manifest, "--data", tmp_path, "--json", exit_code=1).json
    assert report["unsure_labels"] == 1
    assert [counts["train"] for counts in report["class_counts"].values()] == [0, 1]
