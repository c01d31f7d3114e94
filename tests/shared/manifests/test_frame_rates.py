"""Rates of folders of frames."""

import csv
import statistics
from pathlib import Path

import pytest

from orn.shared.errors import DataRootError, ManifestError
from orn.shared.manifests.load import load_listing, load_manifest, video_rates
from orn.shared.manifests.schema import RateTable, Videos

TABLE = RateTable(table="info.csv", video="video", rate="fps")


def test_video_files_know_their_own_rate(tmp_path: Path) -> None:
    assert video_rates(Videos(pattern="{id}.mp4"), tmp_path, ["a"]) == {"a": None}


def test_the_first_pattern_that_fits_counts(tmp_path: Path) -> None:
    videos = Videos(pattern="{id}", rate=60, rates={"P??_???": 50, "P01_*": 30})
    ids = ["P01_101", "P01_01", "P02_01", "p02_101"]
    assert video_rates(videos, tmp_path, ids) == {
        "P01_101": 50,
        "P01_01": 30,
        "P02_01": 60,
        "p02_101": 60,
    }


def test_table_of_rates(tmp_path: Path) -> None:
    videos = Videos(pattern="{id}", rate_table=TABLE)
    (tmp_path / "info.csv").write_text("video,fps,more\na,29.97,x\nb,90.0,x\n")
    assert video_rates(videos, tmp_path, ["b", "a"]) == {"b": 90.0, "a": 29.97}
    with pytest.raises(ManifestError, match=r"info\.csv: .*none of 2, the first is 'c'"):
        video_rates(videos, tmp_path, ["a", "c", "d"])
    (tmp_path / "info.csv").write_text("video,fps\na,0\nb,nan\n")
    with pytest.raises(ManifestError, match=r"line 2: wanted fps of 0\.001 to 1000, found '0'; "):
        video_rates(videos, tmp_path, ["a"])
    (tmp_path / "info.csv").unlink()
    with pytest.raises(DataRootError, match=r"info\.csv: no such file"):
        video_rates(videos, tmp_path, ["a"])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", r"videos\.rate \(or videos\.rate_table\) is wanted for form 'frames'"),
        ("rate = 60\nrate_table = {table='a',video='b',rate='c'}", "is wanted for form 'frames'"),
        ("rate_table = {table='a',video='b',rate='c'}\nrates = {a=5}", "set that, too"),
        ("rate = 60\nrates = {a = 0}", r"videos\.rates\.a: wanted at least 0.001"),
        ("rate = 0", r"videos\.rate: wanted at least 0.001"),
        ("rate_table = {tabel='a',video='b',rate='c'}", r"nearest .* 'videos\.rate_table\.table'"),
    ],
)
def test_refusals(mine: Path, lines: str, message: str) -> None:
    text = mine.read_text().replace('"clips"', '"frames"')
    mine.write_text(text.replace("[labels]", f"{lines}\n[labels]"))
    with pytest.raises(ManifestError, match=message):
        load_manifest(mine)


@pytest.mark.real_data
def test_published_frames_of_epic_are_60_a_second(sample_data: Path) -> None:
    """Frame numbers of the table over its times give 60, also for videos of 29.97 and 47.95 fps."""
    annotations = sample_data / "epic" / "annotations"
    fps = {
        row["video"]: row["fps"]
        for row in csv.DictReader((annotations / "EPIC_video_info.csv").open())
    }
    start = {
        segment.id: segment.start_seconds or 0
        for segment in load_listing(load_manifest("epic"), sample_data).segments
    }
    ratios: dict[str, list[float]] = {}
    for row in csv.DictReader((annotations / "EPIC_train_action_labels.csv").open()):
        if start[row["uid"]] > 60:
            ratio = int(row["start_frame"]) / start[row["uid"]]
            ratios.setdefault(fps[row["video_id"]], []).append(ratio)
    assert len(ratios) == 3
    assert {round(statistics.median(each), 1) for each in ratios.values()} == {60.0}
    assert load_manifest("epic-frames").videos.rate == 60
