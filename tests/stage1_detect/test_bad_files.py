"""A data set with every bad file there is: jobs name them and do the good videos."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.tables import write_table
from tests.worlds.videos import claim_frames, write_gray

GOOD = {"good.mp4": 5, "claims.avi": 6, "long.mp4": 4, "claims.mp4": 3, "cafe\u0301.mp4": 2}
"""Frames of the videos that are done: their headers or names are odd, no more."""
BAD = {
    "broken.mp4": "cannot be opened",
    "empty.mp4": "cannot be opened",
    "loop.mp4": "Too many levels of symbolic links",
    "pipe.mp4": "expected a regular file, got a pipe",
}
ABSENT = ("lost.mp4", "n" * 300 + ".mp4")


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """The manifest; the data root is `data` beside it."""
    root = tmp_path / "data" / "bad"
    root.mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    (root / "videos").symlink_to(tmp_path / "disk")
    videos = root / "videos"
    for name, frames in GOOD.items():
        write_gray(videos / name, frames)
    claim_frames(videos / "claims.avi")
    claim_frames(videos / "claims.mp4")
    (videos / "broken.mp4").write_bytes(b"no video at all")
    (videos / "empty.mp4").touch()
    (videos / "loop.mp4").symlink_to("loop.mp4")
    os.mkfifo(videos / "pipe.mp4")
    listed = [name.replace("e\u0301", "\u00e9") for name in GOOD]
    rows = [f"{name},open,0,1,train" for name in (*listed, *BAD, *ABSENT)]
    rows += ["long.mp4,open,0.1,1e9,train", "good.mp4,open,5000,6000,validation"]
    rows = ["video,label,start,stop,split", *rows]
    options = {"classes": ["open"], "form": "segments", "pattern": "videos/{id}"}
    return write_table(tmp_path, "bad", rows, **options)


@pytest.fixture
def options(bad: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, ...]:
    """Manifest and data root, and JSON; the working directory is the manifest's."""
    monkeypatch.chdir(bad.parent)
    return bad, "--data", bad.parent / "data", "--json"


def test_jobs_do_the_good_videos_and_end_with_3(
    orn: Any, options: tuple[Any, ...], demo_config: Path, demo_checkpoint: Path
) -> None:
    detector = ("--config", demo_config, "--checkpoint", demo_checkpoint, "--device", "cpu")
    frames = sum(GOOD.values())
    report = orn("detect", *options, *detector, "--workers", 1, exit_code=3).json
    assert (report["videos"], report["total_frames"]) == (5, frames)
    reasons = {video["id"]: video["reason"] for video in report["failed"]}
    assert reasons.keys() == BAD.keys()
    assert [name for name, reason in BAD.items() if reason not in reasons[name]] == []
    report = orn("clips", *options, "--workers", 1, exit_code=3).json
    assert (report["added"], report["frames"]) == (5, frames)
    assert sorted(video["id"] for video in report["failed"]) == sorted(BAD)
    report = orn("manifest", "check", *options, "--probe", exit_code=3).json
    assert sorted(report["unreadable"]) == sorted(BAD)
