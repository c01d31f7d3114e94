"""`orn clips` through the command line."""

import json
from pathlib import Path
from types import SimpleNamespace

import h5py
import pytest
from click.testing import CliRunner
from PIL import Image

from orn.shared.cli import orn
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.frames import files
from orn.stage2_train.frames.make_clips import PART_BYTES
from orn.stage2_train.frames.reader import ClipStore

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


def test_what_is_added_is_a_file_of_its_own(arguments, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files, "_FEW_BYTES", 0)
    monkeypatch.setattr(files, "_TIMES_LARGER", 0)
    first = tmp_path / "films.h5"
    size = invoke([*arguments, "--limit", "1"])[1]["bytes"]
    assert size == first.stat().st_size
    estimate = invoke([*arguments, "--dry-run"])[1]
    assert estimate["needed_bytes"] == 2 * estimate["estimated_bytes"] + PART_BYTES
    report = invoke(arguments)[1]
    assert report["bytes"] == size + (tmp_path / "films.h5.added-1").stat().st_size
    assert first.stat().st_size == size
    assert invoke([*arguments, "--verify"])[1]["ok"]


def test_failed_videos_end_with_3(arguments, tmp_path) -> None:
    (tmp_path / "data/films/videos/a.mp4").write_bytes(b"no video")
    code, report = invoke(arguments)
    assert code == 3
    assert [row["id"] for row in report["failed"]] == ["a"]
    assert report["added"] == 1


def test_size_is_parsed(arguments) -> None:
    assert invoke([*arguments, "--size", "20x30", "--dry-run"])[1]["size"] == "20x30"
    for wrong in ("20", "0x20", "20x00"):
        result = CliRunner().invoke(orn, [*arguments, "--size", wrong])
        assert result.exit_code == 2
        assert "wanted HEIGHTxWIDTH" in result.stderr


def test_short_side_and_rate(arguments, tmp_path) -> None:
    extra = ["--short-side", "24", "--rate", "5"]
    code, report = invoke([*arguments, *extra, "--dry-run"])
    assert (code, report["size"], report["short_side"], report["rate"]) == (0, None, 24, 5.0)
    assert invoke([*arguments, *extra])[1]["frames"] == 4
    assert ClipStore(tmp_path / "films.h5").stored_size("a") == (24, 32)
    result = CliRunner().invoke(orn, [*arguments, *extra, "--size", "24x32"])
    assert result.exit_code == 2
    assert "--size and --short-side" in result.stderr


def test_estimate_is_near_the_size(arguments, tmp_path) -> None:
    estimate = invoke([*arguments, "--dry-run"])[1]
    report = invoke([*arguments, "--fresh"])[1]
    assert estimate["estimated_frames"] == report["frames"]
    with h5py.File(tmp_path / "films.h5", "r") as file:
        assert estimate["estimated_bytes"] == pytest.approx(len(file["jpeg"]), rel=0.3)
    assert estimate["free_bytes"] > estimate["needed_bytes"] > estimate["estimated_bytes"]


def test_what_does_not_fit_is_refused(arguments, tmp_path, monkeypatch) -> None:
    usage = SimpleNamespace(total=10**9, used=10**9, free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    result = CliRunner().invoke(orn, arguments)
    assert result.exit_code == 1
    assert "does not fit: about 6 frames" in result.stderr
    assert "1 kB are free" in result.stderr
    assert "the longest video looked at is 'b' with 3 of these frames" in result.stderr
    assert not (tmp_path / "films.h5").exists()


@pytest.fixture
def segments(arguments, tmp_path) -> list[str]:
    """The films as videos with labelled times; b has none."""
    table = "video,start,stop,label,split\na,0.1,0.2,up,train\nc,0,1,up,train\n"
    (tmp_path / "data/films/labels.csv").write_text(table)
    (tmp_path / "films.toml").write_text(MANIFEST.replace('"clips"', '"segments"'))
    return arguments


def test_labelled_times_are_the_default_where_segments_have_times(segments, tmp_path) -> None:
    report = invoke([*segments, "--dry-run"])[1]
    assert (report["frames"], report["videos"], report["estimated_frames"]) == ("labelled", 1, 1)
    assert invoke(segments)[1]["frames"] == 1
    assert not ClipStore(tmp_path / "films.h5").frames("a").covers(TimeRange())
    code, report = invoke([*segments, "--frames", "all"])
    assert (code, report["added"], report["frames"]) == (0, 1, 3)
    assert ClipStore(tmp_path / "films.h5").frames("a").covers(TimeRange())


def test_labelled_without_labels(arguments, tmp_path) -> None:
    (tmp_path / "data/films/labels.csv").unlink()
    result = CliRunner().invoke(orn, [*arguments, "--frames", "labelled"])
    assert result.exit_code == 2
    assert "use --frames all" in result.stderr


def test_verify(arguments, tmp_path, film) -> None:
    result = CliRunner().invoke(orn, [*arguments, "--verify"])
    assert result.exit_code == 1
    assert "there is no clip store" in result.stderr
    invoke([*arguments, "--limit", "1"])
    code, report = invoke([*arguments, "--verify"])
    assert (code, report["ok"]) == (1, False)
    message = "is not in the store; run `orn clips`"
    assert report["problems"] == [{"video": "b", "message": message}]
    invoke(arguments)
    code, report = invoke([*arguments, "--verify"])
    assert (code, report["ok"], report["problems"], report["videos"]) == (0, True, [], 2)
    film(tmp_path / "data/films/videos/a.mp4", num_frames=2)
    plain = CliRunner().invoke(orn, [*arguments[:-1], "--verify"])
    assert plain.exit_code == 1
    assert "films.h5: a: the video has changed: sha256:" in plain.stdout


def test_a_frame_number_that_lies_does_not_refuse_the_data_set(tmp_path: Path) -> None:
    root = tmp_path / "data" / "films"
    for name, last in (("a", 3), ("far", 999_999_999), ("farther", 10**20)):
        folder = root / "videos" / name
        folder.mkdir(parents=True)
        for number in (1, 2, last):
            Image.new("RGB", (64, 48)).save(folder / f"{number}.jpg")
    (root / "classes.txt").write_text("up\n")
    rows = [f"{name},up,train" for name in ("a", "far", "farther")]
    (root / "labels.csv").write_text("\n".join(["video,label,split", *rows]))
    manifest = MANIFEST.replace('"clips"', '"frames"').replace('{id}.mp4"', '{id}"\nrate = 25')
    (tmp_path / "films.toml").write_text(manifest)
    options = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "films.h5"), "--json"]
    code, report = invoke(["clips", str(tmp_path / "films.toml"), *options, "--workers", "1"])
    assert (code, report["added"], report["frames"]) == (3, 2, 6)
    (failed,) = report["failed"]
    assert failed["id"] == "farther"
    assert "100000000000000000000.jpg: expected a frame number" in failed["reason"]
