"""`orn clips` through the command line."""

from functools import partial
from pathlib import Path

import pytest

from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clip_store.clip_store import ClipStore
from tests.worlds.tables import write_table

SIZE = "[clips]\nheight = 24\nwidth = 40\n"
CLASSES = ("up", "down")


@pytest.fixture
def manifest(tmp_path: Path, film) -> Path:
    """A data set of three films, one of them missing."""
    for name in ("a", "b"):
        film(tmp_path / "data/films/videos" / f"{name}.mp4", num_frames=3)
    rows = ("video,label,split", "a,up,train", "b,down,train", "c,up,train")
    path = write_table(tmp_path, "films", rows, classes=CLASSES)
    path.write_text(path.read_text() + SIZE)
    return path


@pytest.fixture
def clips(orn, manifest):
    """`orn clips` of the data set."""
    folders = ("--data", manifest.parent / "data", "--out", manifest.with_suffix(""))
    return partial(orn, "clips", manifest, *folders, "--workers", 1)


def test_stores_at_the_size_of_the_manifest_again(clips, manifest) -> None:
    report = clips("--dry-run", "--json").json
    assert (report["size"], report["videos_to_do"], report["missing"]) == ("24x40", 2, 1)
    assert not manifest.with_suffix("").exists()
    report = clips("--json").json
    assert (report["videos"], report["present"], report["missing"]) == (2, 0, 1)
    output = " ".join(clips().stdout.split())
    assert "present 2 frames 6" in output
    assert ClipStore(manifest.with_suffix("")).settings.size == (24, 40)


def test_videos_that_fail_or_change_are_told_and_stored_again(clips, manifest, film) -> None:
    video = manifest.parent / "data/films/videos/a.mp4"
    whole = video.read_bytes()
    video.write_bytes(b"no video")
    for retry in ((), ("--retry-failed",)):
        report = clips("--json", *retry, exit_code=3).json
        assert [row["id"] for row in report["failed"]] == ["a"]
    video.write_bytes(whole)
    assert clips("--json").json["videos"] == 1
    film(video, num_frames=2)
    report = clips("--json").json
    assert (report["videos"], report["present"], report["frames"]) == (1, 1, 5)
    plan = manifest.with_suffix("") / "clips.plan.json"
    plan.write_text(plan.read_text().replace("{", '{"new": 1,', 1))  # the store does not need it
    assert clips("--json").json["present"] == 2
    assert clips("--fresh", "--json").json["bytes"] < report["bytes"]


def test_labeled_times_are_stored_where_segments_have_times(clips, manifest) -> None:
    labels = manifest.parent / "data/films/labels.csv"
    labels.write_text("video,start,stop,label,split\na,0.1,0.2,up,train\nc,0,1,up,train\n")
    manifest.write_text(manifest.read_text().replace('"clips"', '"segments"'))
    report = clips("--dry-run", "--json").json
    assert (report["frames"], report["videos"], report["frames_to_do"]) == ("labeled", 1, 1)
    assert clips("--json").json["frames"] == 1
    assert not ClipStore(manifest.with_suffix("")).frames("a").covers(TimeRange())
