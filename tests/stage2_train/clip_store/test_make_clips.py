"""Storing videos: what goes in, what later runs add, what a kill leaves."""

import json
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from orn.data_manifests.records import Video
from orn.shared.errors import ClipStoreError, ConfigError
from orn.shared.jobs.run_units import LocalEngine
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.store_format import StoreSettings
from tests.worlds.clip_stores import build_clip_store
from tests.worlds.films import write_store

SETTINGS = StoreSettings(size=(24, 32))
GRAY_ERROR = 3  # brightness levels lost to yuv420p and JPEG on flat gray


def files(path: Path) -> list[str]:
    """Names in the folder of a store, but for the index and the plan."""
    names = {file.name for file in path.iterdir()}
    return sorted(names - {"clips.index.json", "clips.plan.json", "job.json"})


def test_any_hdf5_reader_finds_every_frame(videos, tmp_path) -> None:
    report = build_clip_store(videos, tmp_path / "clips", SETTINGS)
    assert (report["videos"], report["present"], report["frames"]) == (3, 0, 12)
    frames = ClipStore(tmp_path / "clips").frames("group/2")
    np.testing.assert_allclose(frames.seconds, np.arange(5) / 10, atol=1e-6)
    images = frames.read(np.arange(5))
    assert images.shape == (5, 24, 32, 3)
    means = images.mean(axis=(1, 2, 3))
    assert np.abs(means - (20 + 20 * np.arange(5))).max() <= GRAY_ERROR
    with h5py.File(tmp_path / "clips/clips-000000.h5") as file:
        record = json.loads(bytes(file["record"][:]))
        assert (record["format"], record["format_version"]) == ("orn-clips", 7)
        assert record["settings"]["size"] == [24, 32]
        video = record["videos"][1]
        assert video["id"] == "group/1"
        rows = file["frames"][video["first_frame"] :][: video["num_frames"]]
        assert rows["index"].tolist() == [0, 1, 2, 3]
        start = video["first_byte"] + rows["start"][2]
        picture = bytes(file["jpeg"][start : start + rows["size"][2]])
        assert picture[:3] == b"\xff\xd8\xff" and picture[-2:] == b"\xff\xd9"


def test_what_is_new_or_has_changed_goes_to_new_files(videos, film, tmp_path) -> None:
    path = tmp_path / "clips"
    build_clip_store(videos[:2], path, SETTINGS)
    before = (path / "clips-000000.h5").read_bytes()
    report = build_clip_store(videos, path, SETTINGS, engine=LocalEngine(devices=("cpu", "cpu")))
    assert (report["videos"], report["present"]) == (1, 2)
    assert build_clip_store(videos, path, SETTINGS)["videos"] == 0
    os.utime(videos[0].path, ns=(1, 1))  # as a copy has: its content counts
    assert build_clip_store(videos, path, SETTINGS)["videos"] == 0
    film(videos[0].path, num_frames=2, level=90)
    videos[2].path.unlink()  # what was stored stays
    report = build_clip_store(videos, path, SETTINGS)
    assert (report["videos"], report["present"], report["frames"]) == (1, 2, 11)
    assert len(ClipStore(path).frames("group/0")) == 2
    assert files(path) == [f"clips-00000{number}.h5" for number in range(3)]
    assert (path / "clips-000000.h5").read_bytes() == before


def test_jpegs_overwritten_in_place_or_of_another_rate_are_stored_again(tmp_path) -> None:
    """Also with files of the same size; and not those that are only touched."""
    folder = tmp_path / "film"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (32, 24), (40, 40, 40)).save(folder / f"{number}.bmp.jpg")

    def store(rate: float = 5.0) -> tuple[int, int]:
        video = Video(id="film", path=folder, rate=rate)
        report = build_clip_store([video], tmp_path / "clips", SETTINGS)
        return report["videos"], report["present"]

    assert [store(), store()] == [(1, 0), (0, 1)]
    file = folder / "1.bmp.jpg"
    file.touch()
    assert store() == (0, 1)
    size = file.stat().st_size
    Image.new("RGB", (32, 24), (200, 200, 200)).save(file)
    assert file.stat().st_size == size
    assert store() == (1, 0)
    frames = ClipStore(tmp_path / "clips").frames("film")
    assert frames.read(np.array([1])).mean() > 190
    assert [store(10.0), store(10.0)] == [(1, 0), (0, 1)]
    assert ClipStore(tmp_path / "clips").frames("film").seconds.tolist() == [0, 0.1, 0.2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (30, 32)}, "size is '24x32' as recorded, '30x32'"),
        ({"jpeg_quality": 95}, "quality is .* 95"),
        ({"rate": 5.0}, "rate is None as recorded, 5.0"),
    ],
)
def test_other_settings_are_refused(videos, tmp_path, change, message) -> None:
    path, other = tmp_path / "clips", replace(SETTINGS, **change)
    build_clip_store(videos[:1], path, SETTINGS)
    with pytest.raises(ConfigError, match=f"{message}.*--fresh"):
        build_clip_store(videos, path, other)
    build_clip_store(videos, path, other, fresh=True)
    assert (ClipStore(path).settings, len(ClipStore(path).ids)) == (other, 3)
    write_store(tmp_path / "other", [], SETTINGS)
    (tmp_path / "other/clips-000000.h5").rename(path / "clips-000001.h5")
    with pytest.raises(ClipStoreError, match=r"clips-000001\.h5: .*24x32"):
        ClipStore(path)


def between(*ends: tuple[float, float]) -> dict[str, TimeRanges]:
    """Ranges of the third film."""
    return {"group/2": TimeRanges.of(TimeRange(*end) for end in ends)}


def test_only_labeled_times_with_the_places_and_times_of_the_source(videos, tmp_path) -> None:
    path = tmp_path / "clips"
    build_clip_store(videos, path, SETTINGS, ranges=between((0.1, 0.2), (0.3, 0.45)))
    store = ClipStore(path)
    assert len(store.frames("group/1")) == 4
    frames = store.frames("group/2")
    np.testing.assert_allclose(frames.seconds, [0.1, 0.3, 0.4], atol=1e-6)
    assert frames.covers(TimeRange(0.31, 0.4))
    assert not frames.covers(TimeRange(0.1, 0.3))
    assert not frames.covers(TimeRange(None, 0.2))
    assert frames.rows["index"].tolist() == [1, 3, 4]
    build_clip_store(videos, tmp_path / "slow", replace(SETTINGS, rate=5.0))
    slow = ClipStore(tmp_path / "slow").frames("group/2")
    np.testing.assert_allclose(slow.seconds, [0.0, 0.2, 0.4], atol=1e-6)
    build_clip_store(videos, tmp_path / "whole", SETTINGS)
    whole = ClipStore(tmp_path / "whole").frames("group/2")
    np.testing.assert_array_equal(frames.read(np.array([0, 1, 2])), whole.read(np.array([1, 3, 4])))
