"""Maps of a video network stored beside the frames: of which windows, and what changes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from orn.shared.video.frame import Frame
from orn.shared.video.read import read_frames
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.frames_on_demand import DecodedVideo
from orn.stage2_train.clip_store.store_format import MapSettings, StoreSettings
from orn.stage2_train.clip_store.surroundings import window_indices
from orn.stage2_train.model.backbones import load_backbone
from orn.stage2_train.settings.model_config import WINDOWS
from tests.running import run_orn
from tests.stage2_train.clip_store.moving_pictures import (
    texture,
    with_patch,
    write_film,
    write_table_of_films,
)
from tests.worlds.shards import unit_files
from tests.worlds.video_networks import VIDEO_NETWORK, write_video_weights

RATE = 25
FRAMES = {"a": 60, "b": 60, "still": 40, "one": 1}
WINDOW = WINDOWS[VIDEO_NETWORK]


def pictures(name: str) -> Iterator[NDArray[np.uint8]]:
    """A patch that moves to the right, or for b the reverse of a, before a scene."""
    number, scene = FRAMES.get(name, 60), texture(64, 96)
    for frame in range(number):
        shown = {"b": number - 1 - frame, "still": 0}.get(name, frame)
        yield with_patch(scene, 0.2 + 0.01 * shown, 0.5)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The videos, weights, and a store of some frames with maps; read-only."""
    folder = tmp_path_factory.mktemp("windows")
    films = {name: pictures(name) for name in FRAMES}
    write_table_of_films(folder, films, rate=RATE, options={"qp": "0", "g": "8"})
    write_video_weights(folder / "network.pth")
    store_maps(folder, "clips", "--rate", "5", "--workers", "1")
    return folder


def store_maps(folder: Path, out: Path | str, *more: object, exit_code: int | None = 0) -> Any:
    """`orn clips --backbone`, as a user types it."""
    words = ("clips", folder / "mine.toml", "--data", folder / "data", "--out", folder / out)
    words += ("--backbone", VIDEO_NETWORK, "--weights", folder / "network.pth")
    return run_orn(*words, "--size", "64x64", "--device", "cpu", *more, exit_code=exit_code)


def all_maps(store: ClipStore, name: str) -> NDArray[np.float16]:
    frames = store.frames(name)
    return frames.maps(np.arange(len(frames)))


def expected_window(frames: list[Frame], seconds: float) -> NDArray[np.uint8]:
    """The window of a frame, frame by frame: slices of 8 frames at 15 frames/s, the second of two
    that holds the time."""
    start = seconds // (8 / 15) * (8 / 15) - 8 / 15
    window = []
    for index in range(16):
        nearest = min(frames, key=lambda frame: abs(frame.seconds - (start + index / 15)))
        window.append(Image.fromarray(nearest.image).resize((64, 64), Image.Resampling.BILINEAR))
    return np.stack(window)


def test_a_map_is_that_of_the_window_around_its_slice(made: Path) -> None:
    network = load_backbone(VIDEO_NETWORK, file=made / "network.pth")
    store = ClipStore(made / "clips")
    for name in ("a", "one"):
        frames = list(read_frames(made / "data/mine/videos" / f"{name}.mp4"))
        maps_FChw, seconds_F = all_maps(store, name), store.frames(name).seconds
        for seconds, map_Chw in zip(seconds_F.tolist(), maps_FChw, strict=True):
            window_NHW3 = torch.from_numpy(expected_window(frames, seconds))
            expected = network(window_NHW3.permute(0, 3, 1, 2)[None, None])[0]
            np.testing.assert_allclose(map_Chw, expected.numpy(), rtol=2e-3, atol=2e-3)


def test_a_window_has_the_frames_nearest_to_its_times() -> None:
    """Also where the frame rate changes."""
    seconds_F = np.concatenate([np.arange(120) / 60, 2 + np.arange(20) / 10])
    for index in range(7):
        seconds = [(8 * (index - 1) + frame) / 15 for frame in range(16)]
        nearest = [int(np.abs(seconds_F - second).argmin()) for second in seconds]
        assert window_indices(seconds_F, index, WINDOW).tolist() == nearest


def test_maps_see_the_direction_of_time(made: Path) -> None:
    """The reverse of a film has other maps, though it has the same pictures; a still film has the
    same map everywhere."""
    store = ClipStore(made / "clips")
    forward, backward = all_maps(store, "a"), all_maps(store, "b")
    nearest = np.abs(forward[:, None].astype(float) - backward).max((2, 3, 4)).min(1)
    assert (nearest > 0.01).all()
    still = all_maps(store, "still")
    assert len(still) > 3 and (still == still[0]).all()


def test_maps_do_not_depend_on_other_frames_processes_or_motion(made: Path, tmp_path: Path) -> None:
    store_maps(made, tmp_path / "two", "--rate", "5", "--workers", "2")
    assert unit_files(made / "clips") == unit_files(tmp_path / "two")
    store_maps(made, tmp_path / "other", "--motion", "--clip-frames", "3")
    every, some = ClipStore(made / "clips"), ClipStore(tmp_path / "other")
    for name in FRAMES:
        ours, theirs = every.frames(name), some.frames(name)
        slices = [WINDOW.slice_at(seconds) for seconds in ours.seconds.tolist()]
        for seconds, map_Chw in zip(theirs.seconds.tolist(), all_maps(some, name), strict=True):
            same = slices.index(WINDOW.slice_at(seconds))
            assert (all_maps(every, name)[same] == map_Chw).all()
        assert theirs.motion(np.arange(1)).shape[2:] == (2, 2)


@pytest.mark.parametrize("kind", ["mp4", "avi", "folder"])
def test_decoding_gives_the_same_windows(tmp_path: Path, kind: str) -> None:
    """From any frame on, also where the video tells no times (AVI) or is a folder."""
    video = write_film(tmp_path, kind, pictures("film"), rate=RATE)
    maps = MapSettings(backbone=VIDEO_NETWORK, weights="-", shape=(1024, 2, 2), window=WINDOW)
    settings = StoreSettings(size=(64, 64), maps=maps)
    frames = list(read_frames(video.path, rate=video.rate))
    source = DecodedVideo(video, settings)
    for places in ([59], [12], [40, 13, 13], [0, 1]):
        windows_nNHW3 = source.windows(np.array(places))
        for place, window_NHW3 in zip(places, windows_nNHW3, strict=True):
            assert (window_NHW3 == expected_window(frames, frames[place].seconds)).all()
