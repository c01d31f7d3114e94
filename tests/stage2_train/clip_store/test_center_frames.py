"""Stores with the center frames of each segment, which that segment alone reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clip_store.center_frames import center_frames
from orn.stage2_train.clip_store.clip_store import ClipStore
from tests.running import run_orn
from tests.worlds.shards import unit_files
from tests.worlds.tables import write_table
from tests.worlds.videos import write_gray

FRAMES = 40
ROWS = ("video,start,stop,label", "a,0,1,push", "a,0.5,3.2,push", "b,1,1.2,push", "b,9,12,push")
"""Overlapping segments, one of two frames, and one behind the video."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write_gray(tmp_path / "data/mine/videos" / f"{name}.mp4", FRAMES)
    write_rows(tmp_path, ROWS)
    return tmp_path


def write_rows(folder: Path, rows: tuple[str, ...]) -> None:
    write_table(folder, "mine", rows, classes=("push",), form="segments")


def store(folder: Path, *options: object) -> Any:
    words = ("clips", folder / "mine.toml", "--data", folder / "data", "--out", folder / "clips")
    return run_orn(*words, "--motion", *options, "--json").json


def frames_of(folder: Path) -> dict[tuple[str, float, float], list[int]]:
    """Indices of the frames of each segment in the decoded video."""
    clips, found = ClipStore(folder / "clips"), {}
    for row in (folder / "data/mine/labels.csv").read_text().splitlines()[1:]:
        video, start, stop, _ = row.split(",")
        frames, times = clips.frames(video), TimeRange(float(start), float(stop))
        assert frames.covers(times)
        places = frames.indices_in(times)
        found[video, times.start, times.stop] = frames.rows["index"][places].tolist()
        assert len(frames.read(places)) == len(frames.motion(places)) == len(places)
    return found


def test_each_segment_reads_its_own_center_frames(folder: Path) -> None:
    result = store(folder)
    expected = {
        ("a", 0.0, 1.0): center_frames(10, 4).tolist(),
        ("a", 0.5, 3.2): (5 + center_frames(27, 4)).tolist(),
        ("b", 1.0, 1.2): [10, 11],
        ("b", 9.0, 12.0): [],
    }
    assert frames_of(folder) == expected
    distinct = {(name, index) for (name, *_), own in expected.items() for index in own}
    assert result["frames"] == len(distinct)
    clips = ClipStore(folder / "clips")
    assert not clips.frames("a").covers(TimeRange(0.0, 0.9))


def test_a_new_row_changes_the_clip_of_no_other_row(folder: Path) -> None:
    store(folder)
    before, files = frames_of(folder), unit_files(folder / "clips")
    write_rows(folder, (*ROWS, "a,0.2,2,push"))
    again = store(folder)
    assert (again["videos"], again["present"]) == (1, 1)
    after = frames_of(folder)
    assert after == before | {("a", 0.2, 2.0): (2 + center_frames(18, 4)).tolist()}
    assert files.items() <= unit_files(folder / "clips").items()
    assert store(folder)["videos"] == 0


def test_a_video_that_tells_no_times_is_decoded_for_them(tmp_path: Path) -> None:
    write_gray(tmp_path / "data/mine/videos/a.avi", FRAMES)
    rows = ("video,label", "a,push")
    write_table(tmp_path, "mine", rows, classes=("push",), pattern="videos/{id}.avi")
    store(tmp_path)
    frames = ClipStore(tmp_path / "clips").frames("a")
    assert frames.rows["index"].tolist() == center_frames(FRAMES, 4).tolist()
    assert (frames.indices_in(TimeRange()) == np.arange(4)).all()
