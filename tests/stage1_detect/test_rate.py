"""`--rate`: frames picked by time, as `orn clips` picks them, whatever units they fall into."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orn.data_manifests.load import load_dataset
from orn.data_manifests.records import Dataset, Segment, Video
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.time_ranges import ALL_TIMES
from orn.shared.video.read import read_frames
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.store_format import StoreSettings
from orn.stage2_train.clip_store.unit_file import write_unit_file
from tests.stage1_detect.fake_jobs import run_fake
from tests.worlds.videos import write_numbered

UNEVEN = [0, 1, 2, 3, 9, 10, 11, 30, 31, 33, 34, 35, 50, 51, 52, 53, 54, 55, 56, 77]
"""Times in tenths of a second, with gaps longer than a second."""


def of_videos(world: Path, videos: dict[str, Path], segments: tuple[Segment, ...] = ()) -> Dataset:
    """A data set of these videos."""
    loaded = load_dataset(world, world.parent / "data", labels=False)
    listed = tuple(Video(id=name, path=path) for name, path in videos.items())
    return replace(loaded, videos=listed, missing=(), segments=segments)


def stored(videos: dict[str, Path], folder: Path, rate: float) -> ClipStore:
    """What `orn clips --rate` stores of these videos."""
    folder.mkdir()
    listed = [(Video(id=name, path=path), ALL_TIMES) for name, path in videos.items()]
    settings = StoreSettings(size=(8, 8), rate=rate)
    assert not write_unit_file(folder / "clips-000000.h5", listed, settings)
    return ClipStore(folder)


def check_picks(dataset: Dataset, folder: Path, store: ClipStore) -> None:
    """Check that shards hold the frames of a store, and that each frame of a video finds one."""
    detections = DetectionFolder(folder)
    for video in dataset.videos:
        rows, kept = detections.video(video.id), store.frames(video.id)
        assert rows.frame_indices.tolist() == kept.rows["index"].tolist(), video.id
        assert rows.seconds.tolist() == kept.seconds.tolist(), video.id
        seconds_F = np.array([frame.seconds for frame in read_frames(video.path)])
        rows_F = rows.nearest_rows(seconds_F, video_F=seconds_F)
        nearest_F = np.abs(rows.seconds[:, None] - seconds_F).min(axis=0)
        np.testing.assert_array_equal(np.abs(rows.seconds[rows_F] - seconds_F), nearest_F)


@pytest.mark.parametrize("suffix", ["mp4", "avi"])
@pytest.mark.parametrize("rate", [0.3, 3, 20])
def test_uneven_times(world: Path, tmp_path: Path, suffix: str, rate: float) -> None:
    path = tmp_path / f"uneven.{suffix}"
    write_numbered(path, len(UNEVEN), pts=UNEVEN, codec="mpeg4")
    store = stored({"v": path}, tmp_path / "clips", rate)
    dataset = of_videos(world, {"v": path})
    for unit_frames in (3, 2000):
        run_fake(dataset, tmp_path / f"{unit_frames}", rate=rate, unit_frames=unit_frames)
        check_picks(dataset, tmp_path / f"{unit_frames}", store)
