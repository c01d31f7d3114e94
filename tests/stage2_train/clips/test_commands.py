"""`orn clips` through the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from shared.cli import orn
from stage2_train.clips.reader import ClipStore

MANIFEST = """
name = "films"
title = "Films"
form = "clips"
task = "single-label"
metric = "top1"
clip_frames = 4
root = "films"
[videos]
pattern = "videos/{id}.mp4"
[labels]
format = "table"
table = "labels.csv"
classes = "classes.txt"
[clips]
height = 24
width = 40
"""


@pytest.fixture
def arguments(tmp_path: Path, film) -> list[str]:
    """Manifest and folders of a data set of three films, one of them missing."""
    root = tmp_path / "data" / "films"
    for name in ("a", "b"):
        film(root / "videos" / f"{name}.mp4", num_frames=3)
    (root / "classes.txt").write_text("up\ndown\n")
    (root / "labels.csv").write_text("video,label,split\na,up,train\nb,down,train\nc,up,train\n")
    (tmp_path / "films.toml").write_text(MANIFEST)
    return [
        "clips",
        str(tmp_path / "films.toml"),
        "--data",
        str(tmp_path / "data"),
        "--out",
        str(tmp_path / "films.h5"),
        "--workers",
        "1",
        "--json",
    ]


def invoke(arguments: list[str]) -> tuple[int, dict]:
    """Exit code and the JSON on stdout."""
    result = CliRunner().invoke(orn, arguments)
    return result.exit_code, json.loads(result.stdout) if result.stdout else {}


def test_stores_at_the_size_of_the_manifest(arguments, tmp_path) -> None:
    code, report = invoke([*arguments, "--dry-run"])
    assert (code, report["size"], report["to_do"], report["missing"]) == (0, "24x40", 2, 1)
    assert not (tmp_path / "films.h5").exists()
    code, report = invoke(arguments)
    assert (code, report["added"], report["frames"], report["missing"]) == (0, 2, 6, 1)
    assert ClipStore(tmp_path / "films.h5").settings.width == 40


def test_limit_then_the_rest(arguments) -> None:
    assert invoke([*arguments, "--limit", "1"])[1]["added"] == 1
    code, report = invoke(arguments)
    assert (code, report["added"], report["present"]) == (0, 1, 1)


def test_failed_videos_end_with_3(arguments, tmp_path) -> None:
    (tmp_path / "data/films/videos/a.mp4").write_bytes(b"no video")
    code, report = invoke(arguments)
    assert code == 3
    assert [row["id"] for row in report["failed"]] == ["a"]
    assert report["added"] == 1


def test_size_is_parsed(arguments) -> None:
    assert invoke([*arguments, "--size", "20x30", "--dry-run"])[1]["size"] == "20x30"
    result = CliRunner().invoke(orn, [*arguments, "--size", "20"])
    assert result.exit_code == 2
    assert "wanted HEIGHTxWIDTH" in result.stderr
