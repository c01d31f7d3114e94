"""Segments of videos that are no longer there: refused, unless partial data are accepted."""

from pathlib import Path

import pytest

from tests.running import run_orn
from tests.worlds.films import words_of

LOST = {"train": "film/3", "validation": "film/5"}


@pytest.fixture
def data(workspace: dict[str, str]) -> tuple[str, ...]:
    """Options of a data set without the videos in `LOST`, whose frames and objects are there."""
    for video_id in LOST.values():
        Path(workspace["--data"], "tiny", f"{video_id}.mp4").unlink()
    names = ("manifest", "--data", "--recipe", "--shards", "--clips")
    return tuple(words_of({name: workspace[name] for name in names}))


@pytest.mark.parametrize("command", ["train", "baseline"])
def test_commands_refuse_segments_without_their_video(command, data, tmp_path: Path) -> None:
    out = ("--run" if command == "train" else "--out", str(tmp_path / "out"))
    refused = run_orn(command, *data, *out, exit_code=1).stderr
    assert "tiny, train: 1 of 8 segments" in refused
    assert f"{LOST['train']}" in refused and "--partial" in refused
    assert not (tmp_path / "out").exists()
    accepted = run_orn(command, *data, *out, "--partial", "--json")
    assert "1 segment skipped: its video is missing" in accepted.stderr
    if command == "train":
        assert accepted.json["num_skipped"] == 2


def test_eval_refuses_segments_without_their_video(trained_once, tmp_path: Path, workspace) -> None:
    Path(workspace["--data"], "tiny", f"{LOST['validation']}.mp4").unlink()
    words = ("--dataset", workspace["manifest"], "--data", workspace["--data"])
    words += ("--shards", workspace["--shards"], "--clips", workspace["--clips"])
    refused = run_orn("eval", trained_once["--run"], *words, exit_code=1).stderr
    assert "tiny, validation: 1 of 4 segments" in refused
