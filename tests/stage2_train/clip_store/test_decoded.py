"""Frames decoded on the fly are those that a store would have, before JPEG."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orn.data_manifests.records import Video
from orn.shared.errors import ClipStoreError, VideoDecodeError
from orn.shared.time_ranges import TimeRange
from orn.shared.video import random_access as reader
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.crop import CropWindow
from orn.stage2_train.clip_store.decoded import DecodedVideos
from orn.stage2_train.clip_store.jpeg import decode_jpeg, encode_frame
from orn.stage2_train.clip_store.store_format import StoreSettings
from orn.stage2_train.clip_store.store_job import build_clip_store
from tests.worlds.videos import write_pictures

SETTINGS = StoreSettings(size=(24, 32))


def through_jpeg(images: np.ndarray, settings: StoreSettings) -> np.ndarray:
    """The same pictures as a store gives them."""
    return np.stack([decode_jpeg(encode_frame(image, settings)) for image in images])


def decoded(videos: tuple[Video, ...], tmp_path: Path) -> DecodedVideos:
    """The videos without a store."""
    return DecodedVideos(videos, root=tmp_path, settings=SETTINGS)


@pytest.fixture(params=["mp4", "avi", "real avi"])
def kinds(request, videos, tmp_path) -> tuple[Video, ...]:
    """Videos that tell their times, and of those that don't a made and a real one."""
    if request.param == "mp4":
        return videos
    if request.param == "avi":
        return (Video(id="film", path=counted_film(tmp_path / "film.avi", "mpeg4", 60)),)
    odd = request.getfixturevalue("sample_data") / "clips/odd"
    return (Video(id="avi", path=odd / "torchvision__RATRACE_wave.avi"),)


def counted_film(path: Path, codec: str, num_frames: int, **options: str) -> Path:
    """A film whose brightness is 20 more than the frame's number."""
    pictures = (np.full((32, 48, 3), 20 + n, np.uint8) for n in range(num_frames))
    return write_pictures(path, pictures, rate=25, codec=codec, options=options)


def test_equals_the_store_also_through_pickle(kinds, tmp_path) -> None:
    build_clip_store(kinds, tmp_path / "clips", SETTINGS)
    store = ClipStore(tmp_path / "clips")
    sources = {
        as_stored: DecodedVideos(kinds, root=tmp_path, settings=SETTINGS, as_stored=as_stored)
        for as_stored in (False, True)
    }
    for video in kinds:
        stored, now = store.frames(video.id), sources[False].frames(video.id)
        np.testing.assert_array_equal(stored.seconds, now.seconds)
        assert stored.source_digest == now.source_digest
        assert not now.is_empty(TimeRange())
        assert now.is_empty(TimeRange(1000.0)) == (
            video.path.suffix == ".mp4"
        )  # AVI tells no times
        chosen = np.arange(len(now.seconds))[::-1][:12]
        expected = stored.read(chosen)
        np.testing.assert_array_equal(expected, through_jpeg(now.read(chosen), SETTINGS))
        copy = pickle.loads(pickle.dumps(sources[True]))
        np.testing.assert_array_equal(expected, copy.frames(video.id).read(chosen))
    assert kinds[0].id in sources[True]
    assert "none" not in sources[True]
    with pytest.raises(ClipStoreError, match="video none"):
        sources[True].frames("none")


@pytest.mark.parametrize("as_stored", [False, True])
def test_clips_in_order_decode_a_video_without_times_once(tmp_path, monkeypatch, as_stored) -> None:
    """AVI tells no times; a clip that begins before what is kept starts anew."""
    video = Video(id="film", path=counted_film(tmp_path / "film.avi", "mpeg4", 60))
    kind = {"root": tmp_path, "settings": SETTINGS, "as_stored": as_stored}
    onward = DecodedVideos([video], **kind).frames("film")
    assert len(onward.seconds) == 60
    windows = [np.array([a, a + 4, a + 4, a + 9]) for a in range(0, 50, 5)]
    expected = [DecodedVideos([video], **kind).frames("film").read(each) for each in windows]
    began, read = [], reader.read_frames
    monkeypatch.setattr(reader, "read_frames", lambda *a, **k: began.append(a) or read(*a, **k))
    for frames_n, pictures in zip(windows, expected, strict=True):
        np.testing.assert_array_equal(onward.read(frames_n), pictures)
    assert len(began) == 1
    np.testing.assert_array_equal(onward.read(windows[1]), expected[1])
    with pytest.raises(VideoDecodeError, match="frame 60"):
        onward.read(np.array([58, 60]))


@pytest.fixture(scope="module")
def long_video(tmp_path_factory) -> Video:
    """200 frames with a key frame every 30, whose brightness is their number."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return Video(id="long", path=counted_film(path, "libx264", 200, crf="1", g="30"))


@settings(max_examples=15)
@given(places=st.lists(st.integers(0, 199), min_size=1, max_size=6))
def test_any_frames_in_any_order(long_video, places) -> None:
    frames = decoded((long_video,), long_video.path.parent).frames("long")
    images = frames.read(np.array(places))
    assert images.shape == (len(places), 24, 32, 3)
    assert np.abs(images.mean(axis=(1, 2, 3)) - 20 - np.array(places)).max() <= 2  # yuv420p
    window = CropWindow(x=5, y=2, height=10, width=20, stored_height=24, stored_width=32)
    cut = frames.read(np.array(places), window)
    np.testing.assert_array_equal(cut, images[:, 2:12, 5:25], strict=True)
    with pytest.raises(VideoDecodeError, match=r"video long: .*frame 200\b"):
        frames.read(np.array([3, 200]))


def test_a_rate_of_its_own_needs_a_store(videos, tmp_path) -> None:
    settings = StoreSettings(size=(5, 5), rate=3.0)
    with pytest.raises(ClipStoreError, match="`orn clips`"):
        DecodedVideos(videos, root=tmp_path, settings=settings)
