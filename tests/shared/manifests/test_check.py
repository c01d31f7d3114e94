"""What `orn manifest check` and `orn manifest list` say."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shared.cli import orn
from shared.manifests.check import check_dataset


def run(*arguments: str) -> Result:
    return CliRunner().invoke(orn, ["manifest", *arguments])


def check(mine: Path, *options: str) -> Result:
    return run("check", str(mine), "--data", str(mine.parent), *options)


def test_list() -> None:
    result = run("list")
    assert result.exit_code == 0
    assert "vlog        clips     multi-label   VLOG" in result.stdout


def test_list_as_json() -> None:
    listed = json.loads(run("list", "--json").stdout)["datasets"]
    assert {"name": "epic", "form": "segments", "task": "single-label"}.items() <= next(
        entry for entry in listed if entry["name"] == "epic"
    ).items()


def test_report_as_json(mine: Path) -> None:
    result = check(mine, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["videos"] == {"listed": 3, "present": 2}
    assert report["splits"] == {
        "train": {"listed": 1, "present": 1},
        "validation": {"listed": 1, "present": 1},
        "test": {"listed": 1, "present": 0},
    }
    assert report["class_counts"]["open"] == {"train": 1, "validation": 0, "test": 1}
    assert report["missing"] == ["c"]
    assert report["warnings"] == ["of 2 classes, these do not occur in the train part: 1: close"]


def test_classes_that_never_occur(mine: Path) -> None:
    (mine.parent / "mine" / "classes.txt").write_text("open\nclose\ntouch\n")
    assert json.loads(check(mine, "--json").stdout)["warnings"] == [
        "of 3 classes, these never occur: 1: touch",
        "of 3 classes, these do not occur in the train part: 1: close",
    ]


def test_report_as_text(mine: Path) -> None:
    output = check(mine).stdout
    assert "videos              3 listed, 2 there" in output
    assert "missing             1: c" in output
    assert "open       1           0     1" in output


def test_ids_matched_only_ignoring_case(mine: Path) -> None:
    (mine.parent / "mine" / "videos" / "C.mp4").touch()
    assert json.loads(check(mine, "--json").stdout)["ignoring_case"] == ["c"]


def test_videos_that_cannot_be_opened(mine: Path) -> None:
    result = check(mine, "--probe", "--json")
    assert result.exit_code == 1, "none of the videos can be opened"
    assert set(json.loads(result.stdout)["unreadable"]) == {"a", "b"}
    assert json.loads(check(mine, "--json").stdout)["unreadable"] == {}


def test_no_video_is_a_failure(mine: Path) -> None:
    for video in (mine.parent / "mine" / "videos").iterdir():
        video.unlink()
    result = check(mine)
    assert result.exit_code == 1
    assert "warning: none of the videos is there" in result.stdout


def test_labels_out_of_range_are_a_failure(mine: Path) -> None:
    (mine.parent / "mine" / "labels.csv").write_text("video,label\na,opne\n")
    result = check(mine)
    assert result.exit_code == 1
    assert "line 2: unknown class 'opne'; the nearest is 'open'" in result.stderr
    assert result.stdout == ""


def test_unknown_data_set_is_wrong_usage() -> None:
    result = run("check", "vlgo")
    assert result.exit_code == 2
    assert "there are vlog, " in result.stderr


def test_data_root_from_the_environment(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORN_DATA", str(mine.parent))
    assert run("check", str(mine)).exit_code == 0
    monkeypatch.setenv("ORN_DATA", str(mine.parent / "nowhere"))
    result = run("check", str(mine))
    assert result.exit_code == 1
    assert "no data root at" in result.stderr


@pytest.mark.real_data
def test_published_epic(sample_data: Path) -> None:
    report = check_dataset("epic", sample_data)
    assert report.split_counts["train"] == (23_191, 0)
    assert report.split_counts["validation"] == (5_281, 0)
    absent, untrained = report.warnings[-2:]
    assert absent.startswith("of 125 classes, these never occur: 6: ")
    assert untrained.startswith("of 125 classes, these do not occur in the train part: 6: ")
