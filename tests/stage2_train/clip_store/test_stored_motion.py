"""Motion stored beside the frames: what it is, and what it depends on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from orn.data_manifests.records import Video
from orn.shared.video.frame import Frame
from orn.shared.video.read import read_frames
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.frames_on_demand import DecodedVideo
from orn.stage2_train.clip_store.motion_windows import MotionWindows, motion_settings
from orn.stage2_train.clip_store.store_format import StoreSettings
from tests.running import run_orn
from tests.stage2_train.clip_store.moving_pictures import (
    number_in_one_mib,
    texture,
    windowed_motion,
    with_patch,
    write_film,
    write_table_of_films,
)
from tests.worlds.clip_stores import build_clip_store

RATE = 30
FRAMES = {"a": 60, "b": 9, "c": 1}


def pictures(number: int, *, seed: int = 0) -> Iterator[NDArray[np.uint8]]:
    """A patch before a scene; some pictures are shown three times, one for half a second."""
    scene = texture(96, 128, seed=seed)
    for frame in range(number):
        shown = frame - frame % 3 if 10 < frame < 25 else min(frame, max(25, frame - 15))
        yield with_patch(scene, 0.3 + 0.01 * shown, 0.5)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos, and a store of all frames with motion; read-only."""
    folder = tmp_path_factory.mktemp("motion")
    films = {name: pictures(number) for name, number in FRAMES.items()}
    write_table_of_films(folder, films, rate=RATE, options={"crf": "10", "g": "8"})
    store_clips(folder, "clips", "--motion", "--rate", "1000")
    return folder


def store_clips(folder: Path, out: Path | str, *options: object) -> Any:
    words = ("clips", folder / "mine.toml", "--data", folder / "data", "--out", folder / out)
    return run_orn(*words, *options)


def videos_of(folder: Path) -> list[Video]:
    return [Video(id=name, path=folder / "data/mine/videos" / f"{name}.mp4") for name in FRAMES]


def all_motion(frames: Any) -> NDArray[np.float16]:
    motion: NDArray[np.float16] = frames.motion(np.arange(len(frames.seconds)))
    return motion


def test_it_is_the_mean_over_a_window_around_each_frame(made: Path) -> None:
    store = ClipStore(made / "clips")
    for video in videos_of(made):
        frames = store.frames(video.id)
        expected = np.stack(windowed_motion(read_frames(video.path), frames.seconds))
        assert (all_motion(frames) == expected.astype(np.float16)).all()
        assert expected[:, -1].all() == (FRAMES[video.id] > 1)
        chosen = np.array([len(frames) - 1, 0])
        assert (frames.motion(chosen) == expected[chosen].astype(np.float16)).all()


def test_it_does_not_depend_on_the_other_stored_frames(made: Path, tmp_path: Path) -> None:
    store_clips(made, tmp_path / "clips", "--motion", "--rate", "7", "--size", "32x48")
    everything, some = ClipStore(made / "clips"), ClipStore(tmp_path / "clips")
    for name in FRAMES:
        stored = some.frames(name)
        places = np.searchsorted(everything.frames(name).seconds, stored.seconds)
        assert (all_motion(stored) == everything.frames(name).motion(places)).all()


@pytest.mark.parametrize("kind", ["mp4", "avi", "folder"])
def test_decoding_gives_the_same_motion(tmp_path: Path, kind: str) -> None:
    """From any frame on, also where the video tells no times (AVI) or is a folder."""
    video = write_film(tmp_path, kind, pictures(60), rate=RATE)
    settings = StoreSettings(size=(24, 32), motion=motion_settings((7, 7)))
    build_clip_store([video], tmp_path / "clips", settings)
    expected = all_motion(ClipStore(tmp_path / "clips").frames("film"))
    source = DecodedVideo(video, settings)
    for places in ([59], [12], [20, 13, 13, 30], [0, 1], [16], [35], [44], [58, 59]):
        got = source.motion(np.array(places))
        assert got.dtype == np.float16
        assert (got == expected[places]).all()


def test_memory_does_not_grow_with_length() -> None:
    """A frame in a hundred is selected; motion of a frame takes 6 kB."""
    scenes = [texture(32, 32, seed=seed) for seed in (0, 1)]
    frames = (
        Frame(index=index, seconds=index / 30, image=scenes[index % 2]) for index in range(600)
    )
    assert number_in_one_mib(frames, {"motion": MotionWindows(motion_settings())}) == 6
