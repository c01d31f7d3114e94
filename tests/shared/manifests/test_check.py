"""What `orn manifest check` and `orn manifest list` say."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from tests.shared.conftest import VideoWriter


def run(*arguments: str) -> Result:
    return CliRunner().invoke(orn, ["manifest", *arguments])


def check(mine: Path, *options: str) -> Result:
    return run("check", str(mine), "--data", str(mine.parent), *options)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, orn.shared.manifests.commands; "
        "print(*{'numpy', 'pydantic', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert done.stdout.split() == []


def test_list() -> None:
    result = run("list")
    assert result.exit_code == 0
    assert "vlog             clips     multi-label   VLOG" in result.stdout


def test_list_as_json() -> None:
    listed = json.loads(run("list", "--json").stdout)["datasets"]
    assert {"name": "epic", "form": "segments", "task": "single-label"}.items() <= next(
        entry for entry in listed if entry["name"] == "epic"
    ).items()


def test_report_as_json(mine: Path) -> None:
    result = check(mine, "--json")
    assert result.exit_code == 3, "one of three videos is missing"
    report = json.loads(result.stdout)
    assert report["videos"] == {"listed": 3, "present": 2}
    assert report["splits"] == {
        "train": {"listed": 1, "present": 1},
        "validation": {"listed": 1, "present": 1},
        "test": {"listed": 1, "present": 0},
    }
    assert report["class_counts"]["open"] == {"train": 1, "validation": 0, "test": 1}
    assert report["missing"] == ["c"]
    assert report["classes_not_in_train"] == ["close"]
    assert report["warnings"] == []


def test_classes_that_never_occur(mine: Path) -> None:
    (mine.parent / "mine" / "classes.txt").write_text("open\nclose\ntouch\n")
    report = json.loads(check(mine, "--json").stdout)
    assert (report["classes"], report["classes_present"]) == (3, 2)
    assert report["classes_never"] == ["touch"]
    assert report["classes_not_in_train"] == ["close"]
    output = check(mine).stdout
    assert "never occur         1: touch" in output
    assert "not in train        1: close" in output


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


def test_some_videos_that_cannot_be_opened(mine: Path, write_video: VideoWriter) -> None:
    for video_id in ("a", "c"):
        write_video(mine.parent / "mine" / "videos" / f"{video_id}.mp4", 1)
    assert check(mine).exit_code == 0, "all videos are there"
    assert check(mine, "--probe").exit_code == 3, "b is empty"


def test_no_video_is_a_failure(mine: Path) -> None:
    for video in (mine.parent / "mine" / "videos").iterdir():
        video.unlink()
    result = check(mine)
    assert result.exit_code == 1
    assert "warning: none of the videos is there" in result.stdout


def test_labels_out_of_range_are_reported(mine: Path) -> None:
    (mine.parent / "mine" / "labels.csv").write_text("video,label\na,opne\nb,open\n")
    result = check(mine, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    (problem,) = report["problems"]
    assert "line 2: unknown class 'opne'; the nearest is 'open'" in problem
    assert report["splits"]["train"] == {"listed": 2, "present": 2}
    assert report["class_counts"] == {}
    assert f"problem: {problem}" in check(mine).stdout


def test_a_table_without_a_split_is_told_how_to_get_one(mine: Path) -> None:
    table = mine.parent / "mine" / "labels.csv"
    table.write_text("video,label\na,open\nb,close\n")
    result = check(mine)
    assert result.exit_code == 0
    assert f"`orn manifest new {table} --split 80/10/10`" in result.stdout


def test_ids_that_would_escape_are_refused(mine: Path) -> None:
    (mine.parent / "mine" / "labels.csv").write_text("video,label\n../../etc/passwd,open\n")
    result = check(mine, "--json")
    assert result.exit_code == 1
    assert "video id '../../etc/passwd' would leave the data set's folder" in result.stderr
    assert result.stdout == ""


def test_unknown_data_set_is_wrong_usage() -> None:
    result = run("check", "vlgo")
    assert result.exit_code == 2
    assert "there are vlog, " in result.stderr


def test_data_root_from_the_environment(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORN_DATA", str(mine.parent))
    assert run("check", str(mine)).exit_code == 3
    monkeypatch.setenv("ORN_DATA", str(mine.parent / "nowhere"))
    result = run("check", str(mine))
    assert result.exit_code == 1
    assert f"got no folder {mine.parent / 'nowhere'};" in result.stderr


def published(name: str, data: Path) -> dict[str, Any]:
    result = run("check", name, "--data", str(data), "--json")
    assert result.exit_code == 1, "videos or a table are not among the sample files"
    return json.loads(result.stdout)


def listed(report: dict[str, Any]) -> dict[str, int]:
    return {split: counts["listed"] for split, counts in report["splits"].items()}


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "train"), [("epic", 23_191), ("epic-cut24", 22_679)])
def test_published_epic(sample_data: Path, name: str, train: int) -> None:
    report = published(name, sample_data)
    assert report["segments"] == 28_472
    assert listed(report) == {"train": train, "validation": 28_472 - train, "test": 0}
    assert (report["classes"], report["classes_present"]) == (125, 119)
    unseen = ["season", "bake", "dip", "swirl", "pet-down", "tessellate"]
    assert report["classes_not_in_train"] == unseen
    assert report["classes_never"] == ["uncover", "count", "cool", "knife", "deseed", "save"]
    assert list(report["left_out"].values()) == [116]
    for name in unseen:
        counts = report["class_counts"][name]
        assert counts["train"] == 0
        assert counts["validation"] > 0
    assert sum(counts["train"] for counts in report["class_counts"].values()) == train


@pytest.mark.real_data
def test_published_epic_frames(sample_data: Path) -> None:
    result = run("check", "epic-frames", "--data", str(sample_data), "--probe", "--json")
    assert result.exit_code == 3
    report = json.loads(result.stdout)
    assert report["videos"] == {"listed": 272, "present": 1}
    assert report["splits"]["train"] == {"listed": 23_191, "present": 326}


@pytest.mark.real_data
def test_published_epic100(sample_data: Path) -> None:
    report = published("epic100", sample_data)
    assert listed(report) == {"train": 0, "validation": 9_668, "test": 0}
    assert report["absent_tables"] == ["annotations/EPIC_100_train.csv"]
    assert "EPIC_100_train.csv is not there; what it says is not counted" in report["warnings"][0]
    assert sum(counts["validation"] for counts in report["class_counts"].values()) == 9_668


@pytest.mark.real_data
def test_published_vlog_without_its_matrix(sample_data: Path) -> None:
    report = published("vlog", sample_data)
    assert listed(report) == {"train": 58_926, "validation": 26_879, "test": 28_034}
    assert report["class_counts"] == {}
    assert "hand_object.npy is not there; what it says is not counted" in report["warnings"][0]
    assert report["videos"] == {"listed": 113_839, "present": 2}
    assert report["ignoring_case"] == ["O/5/E/v_vAqaXZuAO5E/075"]


@pytest.mark.real_data
@pytest.mark.slow  # the quick sibling: test_published_vlog_without_its_matrix
def test_published_vlog_with_a_matrix(sample_data: Path, tmp_path: Path) -> None:
    for name in (
        "meta/manifest.txt",
        "meta/splitId.txt",
        "meta/hand_object/hand_object_labels.txt",
    ):
        (tmp_path / "vlog" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "vlog" / name).symlink_to(sample_data / "vlog" / name)
    matrix_NA = np.full((113_839, 30), -1, np.int8)
    matrix_NA[:, 0] = 1
    matrix_NA[::2, 1] = 0
    np.save(tmp_path / "vlog" / "meta" / "hand_object" / "hand_object.npy", matrix_NA)
    report = published("vlog", tmp_path)
    first, second = list(report["class_counts"].values())[:2]
    assert first == listed(report)
    assert second == {"train": 0, "validation": 0, "test": 0}
    assert report["unsure_labels"] == 56_920
