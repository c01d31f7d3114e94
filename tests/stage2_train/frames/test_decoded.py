"""Frames decoded on the fly are those that a store would have, before JPEG."""

import pickle
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orn.shared.errors import ClipStoreError, VideoDecodeError
from orn.shared.manifests.records import Video
from orn.shared.time_ranges import TimeRange
from orn.shared.video import frame_times
from orn.stage2_train.frames import decoded as decoded_module
from orn.stage2_train.frames.crop import CropWindow
from orn.stage2_train.frames.decoded import DecodedVideos
from orn.stage2_train.frames.jpeg import decode_jpeg, encode_frame
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.frames.writer import build_clip_store
from orn.stage2_train.training.prepare import spread_over_videos, warn_of_decoding

SETTINGS = StoreSettings(height=24, width=32)


def through_jpeg(images: np.ndarray) -> np.ndarray:
    """The same pictures as a store gives them."""
    return np.stack([decode_jpeg(encode_frame(image, SETTINGS)) for image in images])


def decoded(videos: tuple[Video, ...], tmp_path: Path) -> DecodedVideos:
    """The videos without a store."""
    return DecodedVideos(videos, root=tmp_path, settings=SETTINGS)


def test_equals_the_store_but_for_jpeg(videos, tmp_path) -> None:
    build_clip_store(videos, tmp_path / "clips.h5", SETTINGS)
    store, source = ClipStore(tmp_path / "clips.h5"), decoded(videos, tmp_path)
    for video in videos:
        stored, now = store.frames(video.id), source.frames(video.id)
        np.testing.assert_array_equal(stored.seconds, now.seconds)
        assert stored.source_digest == now.source_digest
        assert store.stored_size(video.id) == source.stored_size(video.id)
        order = np.arange(len(now.seconds))[::-1]
        np.testing.assert_array_equal(stored.read(order), through_jpeg(now.read(order)))
    assert videos[0].id in source
    assert "none" not in source
    assert source.failed == ()


def test_pixels_are_those_of_the_store_where_that_is_asked_for(videos, tmp_path) -> None:
    build_clip_store(videos, tmp_path / "clips.h5", SETTINGS)
    store = ClipStore(tmp_path / "clips.h5")
    source = DecodedVideos(videos, root=tmp_path, settings=SETTINGS, as_stored=True)
    for video in videos:
        order = np.arange(len(source.frames(video.id).seconds))
        found = source.frames(video.id).read(order)
        np.testing.assert_array_equal(found, store.frames(video.id).read(order))


@pytest.mark.parametrize("as_stored", [False, True])
def test_clips_in_order_decode_a_video_without_times_once(
    tmp_path, monkeypatch, as_stored: bool
) -> None:
    """AVI tells no times; a clip that begins before what is kept starts anew."""
    path = tmp_path / "film.avi"
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for frame in range(60):
            image = np.full((32, 48, 3), 20 + 3 * frame, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    video = Video(id="film", path=path)
    kind = {"root": tmp_path, "settings": SETTINGS, "as_stored": as_stored}
    plain = DecodedVideos([video], **kind).frames("film")
    onward = pickle.loads(pickle.dumps(DecodedVideos([video], **kind, in_order=True)))
    assert len(plain.seconds) == len(onward.frames("film").seconds) == 60
    starts = Counter[str]()
    read = decoded_module.read_frames
    monkeypatch.setattr(
        decoded_module, "read_frames", lambda *a, **k: starts.update(["began"]) or read(*a, **k)
    )
    windows = [np.array([a, a + 4, a + 4, a + 9]) for a in range(0, 50, 5)]
    wanted = [plain.read(frames_n) for frames_n in windows]
    starts.clear()
    for frames_n, pictures in zip(windows, wanted, strict=True):
        np.testing.assert_array_equal(onward.frames("film").read(frames_n), pictures)
    assert starts["began"] == 1
    with pytest.raises(VideoDecodeError, match="wanted frame 60"):
        onward.frames("film").read(np.array([58, 60]))
    monkeypatch.setattr(onward._readers["film"], "_kept_bytes", 1)
    onward.frames("film").read(np.array([0, 30]))
    np.testing.assert_array_equal(onward.frames("film").read(windows[1]), wanted[1])


@pytest.fixture(scope="module")
def long_video(tmp_path_factory) -> Video:
    """200 frames with a key frame every 30, whose brightness is their number."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1", "g": "30"})
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for frame in range(200):
            image = np.full((32, 48, 3), 20 + frame, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return Video(id="long", path=path)


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


def test_a_frame_that_does_not_exist(long_video) -> None:
    frames = decoded((long_video,), long_video.path.parent).frames("long")
    with pytest.raises(VideoDecodeError, match=r"video long: wanted frame 200 .* has 200 frames"):
        frames.read(np.array([3, 200]))


def test_a_video_that_tells_no_times(sample_data, tmp_path) -> None:
    video = Video(id="avi", path=sample_data / "clips/odd/torchvision__RATRACE_wave.avi")
    build_clip_store((video,), tmp_path / "clips.h5", SETTINGS)
    stored = ClipStore(tmp_path / "clips.h5").frames("avi")
    frames = decoded((video,), tmp_path).frames("avi")
    np.testing.assert_array_equal(stored.seconds, frames.seconds)
    chosen = np.array([50, 3])
    np.testing.assert_array_equal(stored.read(chosen), through_jpeg(frames.read(chosen)))


def test_survives_pickling_without_what_was_read(videos, tmp_path) -> None:
    source = decoded(videos, tmp_path)
    expected = source.frames("group/1").read(np.array([2]))
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy.frames("group/1").read(np.array([2])), expected)
    with pytest.raises(ClipStoreError, match="wanted video none, there is none"):
        copy.frames("none")


def _counted_openings(monkeypatch) -> Counter[str]:
    """How often each file is opened by what reads times."""
    opened: Counter[str] = Counter()
    whole = frame_times.opened_video

    def counting(path: Path):
        opened[path.name] += 1
        return whole(path)

    monkeypatch.setattr(frame_times, "opened_video", counting)
    frame_times._kept.cache_clear()
    return opened


def test_times_of_many_videos_are_read_once(tmp_path, film, monkeypatch) -> None:
    many = [Video(id=f"{n}", path=tmp_path / f"{n}.mp4") for n in range(10)]
    for video in many:
        film(video.path, num_frames=3)
    source, opened = decoded(tuple(many), tmp_path), _counted_openings(monkeypatch)
    for _ in range(3):
        for video in many:
            frames = source.frames(video.id)
            frames.read(np.array([len(frames.seconds) - 1]))
    assert set(opened.values()) == {2}  # packets and the first picture
    assert len(opened) == 10


def test_a_video_that_tells_no_times_is_asked_once(sample_data, monkeypatch) -> None:
    odd = sample_data / "clips/odd"
    video = Video(id="avi", path=odd / "torchvision__RATRACE_wave.avi")
    frames, opened = decoded((video,), odd).frames("avi"), _counted_openings(monkeypatch)
    for place in (1, 2):
        frames.read(np.array([place]))
        frame_times._kept.cache_clear()
    assert set(opened.values()) == {1}


def test_times_that_do_not_fit_are_forgotten(videos, tmp_path, monkeypatch) -> None:
    """With room for two videos, the one used longest ago is read anew."""
    room = 2 * (1000 + 5 * 16 + 16)  # two records, and the longest video's frames and key frame
    source = DecodedVideos(videos, root=tmp_path, settings=SETTINGS, cache_bytes=room)
    opened = _counted_openings(monkeypatch)

    def read(number: int) -> None:
        source.frames(f"group/{number}").read(np.array([0]))
        frame_times._kept.cache_clear()

    for number in (0, 1, 0, 2):
        read(number)
    before = opened.copy()
    read(0)
    assert opened["0.mp4"] == before["0.mp4"]
    read(1)
    assert opened["1.mp4"] > before["1.mp4"]


def test_times_larger_than_the_cache_are_read_anew(videos, tmp_path) -> None:
    source = DecodedVideos(videos, root=tmp_path, settings=SETTINGS, cache_bytes=10)
    assert source.frames("group/0").read(np.array([0])).shape == (1, 24, 32, 3)
    assert len(source.frames("group/0").seconds) == 3


def test_every_frame_is_decoded(videos, tmp_path) -> None:
    settings = StoreSettings(height=5, width=5, rate=3.0)
    with pytest.raises(ClipStoreError, match="store them with `orn clips`"):
        DecodedVideos(videos, root=tmp_path, settings=settings)


def test_a_short_side_is_that_of_the_store(videos, tmp_path) -> None:
    settings = StoreSettings(short_side=24)
    build_clip_store(videos, tmp_path / "clips.h5", settings)
    store = ClipStore(tmp_path / "clips.h5")
    source = DecodedVideos(videos, root=tmp_path, settings=settings, as_stored=True)
    for video in videos:
        assert source.stored_size(video.id) == store.stored_size(video.id)
        first = np.zeros(1, np.int64)
        wanted = store.frames(video.id).read(first)
        np.testing.assert_array_equal(source.frames(video.id).read(first), wanted)


def test_says_what_it_costs(caplog) -> None:
    made = []
    warn_of_decoding(made.append, range(3), workers=2)
    assert made == [0, 1, 2]
    (record,) = caplog.records
    assert "for each of 3 clips, so 2 processes make at most" in record.getMessage()
    warn_of_decoding(made.append, [], workers=2)
    assert len(caplog.records) == 1


def test_what_is_measured_is_of_different_videos() -> None:
    assert spread_over_videos(["a", "a", "a", "b", "b", "c", "c", "d", "e", "e"], 3) == [0, 5, 8]
    assert spread_over_videos(["a", "b", "a"], 4) == [0, 1]
    assert spread_over_videos([], 4) == []


def test_segments_without_frames_are_known_where_times_are(videos, tmp_path, sample_data) -> None:
    frames = decoded(videos, tmp_path).frames("group/1")  # at 0, 0.1, 0.2 and 0.3 s
    assert frames.is_empty(TimeRange(0.11, 0.19))
    assert frames.is_empty(TimeRange(0.31, None))
    assert not frames.is_empty(TimeRange(0.1, 0.11))
    assert not frames.is_empty(TimeRange())
    odd = sample_data / "clips/odd"
    video = Video(id="avi", path=odd / "torchvision__RATRACE_wave.avi")
    assert not decoded((video,), odd).frames("avi").is_empty(TimeRange(1000.0, None))
