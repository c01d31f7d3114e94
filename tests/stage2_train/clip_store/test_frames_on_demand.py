"""Frames decoded on the fly are those of a store."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orn.data_manifests.records import Video
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.crop import CropWindow
from orn.stage2_train.clip_store.frames_on_demand import DecodedVideo
from orn.stage2_train.clip_store.store_format import StoreSettings
from tests.worlds.clip_stores import build_clip_store
from tests.worlds.videos import write_pictures

SETTINGS = StoreSettings(size=(24, 32))


@pytest.fixture(params=["mp4", "avi", "real avi"])
def video(request, videos, tmp_path) -> Video:
    """A video that tells its times, and of those that don't a made and a real one."""
    if request.param == "mp4":
        return videos[2]
    if request.param == "avi":
        return Video(id="film", path=counted_film(tmp_path / "film.avi", "mpeg4", 60))
    odd = request.getfixturevalue("sample_data") / "clips/odd"
    return Video(id="avi", path=odd / "torchvision__RATRACE_wave.avi")


def counted_film(path: Path, codec: str, num_frames: int, **options: str) -> Path:
    """A film whose brightness is 20 more than the frame's number."""
    pictures = (np.full((32, 48, 3), 20 + n, np.uint8) for n in range(num_frames))
    return write_pictures(path, pictures, rate=25, codec=codec, options=options)


@pytest.mark.parametrize("rate", [None, 5.0])
def test_equals_the_store(video, tmp_path, rate) -> None:
    settings = StoreSettings(size=(24, 32), rate=rate)
    build_clip_store([video], tmp_path / "clips", settings)
    stored, now = ClipStore(tmp_path / "clips").frames(video.id), DecodedVideo(video, settings)
    np.testing.assert_array_equal(stored.seconds, now.seconds)
    chosen = np.arange(len(now.seconds))[::-1][:12]
    np.testing.assert_array_equal(stored.read(chosen), now.read(chosen))
    part = TimeRange(float(now.seconds[1]), float(now.seconds[-1]))
    np.testing.assert_array_equal(stored.indices_in(part), now.indices_in(part))


@pytest.fixture(scope="module")
def long_video(tmp_path_factory) -> Video:
    """200 frames with a key frame every 30, whose brightness is their number."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return Video(id="long", path=counted_film(path, "libx264", 200, crf="1", g="30"))


@settings(max_examples=15)
@given(places=st.lists(st.integers(0, 199), min_size=1, max_size=6))
def test_any_frames_in_any_order(long_video, places) -> None:
    frames = DecodedVideo(long_video, SETTINGS)
    images = frames.read(np.array(places))
    assert images.shape == (len(places), 24, 32, 3)
    assert np.abs(images.mean(axis=(1, 2, 3)) - 20 - np.array(places)).max() <= 2  # yuv420p
    window = CropWindow(x=5, y=2, size=(10, 20), stored=(24, 32))
    cut = frames.read(np.array(places), window)
    np.testing.assert_array_equal(cut, images[:, 2:12, 5:25], strict=True)
