"""Feature maps stored beside the frames: which, how exact, and what is refused."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from orn.data_manifests.records import Video
from orn.shared.errors import CheckpointError, ClipStoreError
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.frame_maps import map_settings, open_mapper
from orn.stage2_train.clip_store.frames_on_demand import DecodedVideo
from orn.stage2_train.model.backbones import load_backbone
from tests.running import run_orn
from tests.worlds.image_networks import NETWORK, write_image_weights
from tests.worlds.tables import counted_videos

SIZE = (64, 96)
FRAMES = {"a": 11, "b": 20, "c": 3}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Three videos, weights, and a store with maps of every frame; read-only."""
    folder = tmp_path_factory.mktemp("maps")
    counted_videos(folder, FRAMES)
    write_image_weights(folder / "network.pth")
    store_maps(folder, "clips", "--rate", "1000")
    return folder


def store_maps(folder: Path, out: str, *more: object, exit_code: int = 0):
    """`orn clips --backbone`, as a user types it."""
    words = ("clips", folder / "mine.toml", "--data", folder / "data", "--out", folder / out)
    words += ("--backbone", NETWORK, "--weights", folder / "network.pth", "--size", "64x96")
    return run_orn(*words, "--device", "cpu", *more, exit_code=exit_code)


def test_maps_are_those_of_the_stored_frames(made) -> None:
    store, network = ClipStore(made / "clips"), load_backbone(
        NETWORK, file=made / "network.pth"
    )  # fmt: skip
    for name, number in FRAMES.items():
        frames, places = store.frames(name), np.arange(number)[::-1]
        images_FHW3 = frames.read(places)
        assert images_FHW3.shape == (number, *SIZE, 3)
        with torch.inference_mode():
            expected = network(torch.from_numpy(images_FHW3).permute(0, 3, 1, 2)[None])
        maps_FChw = frames.maps(places)
        assert maps_FChw.dtype == np.float16
        np.testing.assert_allclose(maps_FChw, expected.numpy(), rtol=2e-3, atol=2e-3)


def test_maps_of_a_decoded_video_are_the_stored_ones(made) -> None:
    store, places = ClipStore(made / "clips"), np.arange(FRAMES["b"])[::-1]
    mapper = open_mapper(store.settings.maps, "cpu", weights=made / "network.pth")
    video = Video(id="b", path=made / "data/mine/videos/b.mp4")
    decoded = DecodedVideo(video, store.settings, mapper)
    np.testing.assert_array_equal(decoded.maps(places), store.frames("b").maps(places))


def test_the_default_is_a_clip_of_each_segment(made) -> None:
    """A clip has 4 frames, and the shortest video 3."""
    described = store_maps(made, "usual", "--dry-run", "--json").json
    assert (described["clip_frames"], described["backbone"]) == (4, NETWORK)
    assert described["frames_to_do"] == 4 + 4 + 3
    assert described["estimated_seconds"] is None and described["estimated_bytes"] > 0
    assert not (made / "usual").exists()


def test_maps_of_other_weights_are_not_mixed_with_those_that_are_there(made, tmp_path) -> None:
    other = tmp_path / "other.pth"
    write_image_weights(other, seed=1)
    ran = store_maps(made, "clips", "--weights", other, exit_code=2)
    assert "maps.weights" in ran.stderr


def test_a_process_refuses_weights_that_are_not_those_of_the_job(made, tmp_path) -> None:
    """As on another machine of a cluster, whose file of weights differs."""
    other = tmp_path / "network.pth"
    write_image_weights(other, seed=1)
    maps = map_settings(NETWORK, SIZE, weights=made / "network.pth")
    with pytest.raises(CheckpointError, match="weights of"):
        open_mapper(maps, "cpu", weights=other)


def test_unknown_weights_are_refused_first(made) -> None:
    ran = store_maps(made, "refused", "--backbone", "timm/resnet18.nosuch", exit_code=2)
    assert "did you mean timm/resnet18?" in ran.stderr and not (made / "refused").exists()


def test_maps_that_no_store_writes_are_corrupt(made, tmp_path) -> None:
    store = Path(shutil.copytree(made / "clips", tmp_path / "clips"))
    (path,) = store.glob("clips-*.h5")
    with h5py.File(path, "r+") as file:
        del file["maps"]
        file.create_group("maps")
    with pytest.raises(ClipStoreError, match="not a valid file"):
        ClipStore(store)
