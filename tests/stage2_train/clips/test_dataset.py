"""Clips: frames and objects that belong together, and draws that depend on nothing else."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.worlds.films as tiny
from orn.shared.errors import ConfigError
from orn.shared.shards.detection_folder import DetectionFolder
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clips.clip_draws import ClipRequest
from orn.stage2_train.clips.dataset import ClipDataset
from tests.stage2_train.clips.conftest import SETTINGS, whole_video

MOVED_CELLS = 0.15  # what antialiasing and JPEG move over a border; a pixel is 0.6 or 0.9 cells


def equal(one, other) -> bool:
    """Whether two clips are the same."""
    fields = ("masks", "coverage", "boxes", "class_scores", "labels", "valid")
    return (
        one.id == other.id
        and np.array_equal(one.frames, other.frames)
        and all(np.array_equal(getattr(one.slots, f), getattr(other.slots, f)) for f in fields)
    )


def test_clips_depend_on_segment_and_in_training_on_seed_and_epoch_alone(make_dataset) -> None:
    dataset, other_seed = make_dataset(), make_dataset(replace(SETTINGS, seed=4))
    request = ClipRequest(1, epoch=0)
    first = dataset[request]
    dataset[ClipRequest(0, epoch=0)]
    assert equal(dataset[request], first)
    data = pickle.dumps(dataset)
    assert len(data) < 50_000  # without what was read
    assert equal(pickle.loads(data)[request], first)
    assert not equal(dataset[ClipRequest(1, epoch=1)], first)
    assert not equal(other_seed[request], first)
    views = [ClipRequest(1, clip=clip) for clip in range(3)]
    assert all(equal(dataset[view], other_seed[view]) for view in views)
    assert not equal(dataset[views[0]], dataset[views[1]])


def test_frames_of_a_segment_are_centered_and_lie_in_its_time_range(
    make_dataset, tiny_world
) -> None:
    whole = whole_video("film/1")
    part = replace(whole, start_seconds=0.3, stop_seconds=0.5)
    for number, places in enumerate([[0, 2, 4, 6], [3, 3, 4, 4]]):
        sample = make_dataset(segments=[whole, part])[ClipRequest(number)]
        stored = tiny_world.clips().frames("film/1").read(np.array(places))
        np.testing.assert_array_equal(sample.frames, stored[:, 8:40, 12:60])


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_masks_stay_on_their_objects_under_crops(seed, tmp_path_factory) -> None:
    """Where the crop shows white, there the mask is, in every crop."""
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("white")
    corners = rng.integers((0, 0), (60, 40), size=(4, 1, 2))
    sizes = rng.integers(10, 30, size=(4, 1, 2))
    boxes_FN4 = np.concatenate([corners, np.minimum(corners + sizes, (80, 60))], axis=2)
    film = tiny.Film(id="white", boxes_FN4=boxes_FN4, colors=np.array([[250] * 3]))
    tiny.write_store(folder / "white", [film])
    tiny.write_films_shard(folder / "shard-000000.zarr.zip", [film])
    data = (ClipStore(folder / "white"), DetectionFolder(folder))
    dataset = ClipDataset([whole_video("white")], *data, SETTINGS)
    for epoch in range(8):
        sample = dataset[ClipRequest(0, epoch=epoch)]
        for time in range(4):
            slot = np.flatnonzero(sample.slots.valid[time] & (sample.slots.labels[time] == 0))
            white = (sample.frames[time].mean(axis=2) - 90) / (250 - 90)
            shown = _cells(white, 28)
            mask = sample.slots.masks[time, slot[0]] if len(slot) else np.zeros((28, 28))
            for axis in (0, 1):
                difference = shown.mean(axis=axis) - mask.mean(axis=axis)
                assert np.abs(np.cumsum(difference)).max() < MOVED_CELLS


def _cells(image: np.ndarray, size: int) -> np.ndarray:
    """Mean of an image in each of size x size cells, by repeating pixels to a common multiple."""
    height, width = image.shape
    fine = image.repeat(size, axis=0).repeat(size, axis=1)
    return fine.reshape(size, height, size, width).mean(axis=(1, 3))


def test_unsure_labels_are_negative_or_ignored_in_training_alone(make_dataset) -> None:
    segment = replace(whole_video("film/1"), labels=(1,), unsure=(0,))
    multi = replace(SETTINGS, multi_label=True)
    ignoring = replace(multi, data=replace(SETTINGS.data, unsure_labels="ignored"))
    training, evaluation = ClipRequest(0, epoch=0), ClipRequest(0)
    labels = {
        (name, request.epoch): make_dataset(settings, segments=[segment])[request].label.tolist()
        for name, settings in (("negative", multi), ("ignored", ignoring))
        for request in (training, evaluation)
    }
    assert labels == {
        ("negative", 0): [0, 1],
        ("negative", None): [0, 1],
        ("ignored", 0): [-1, 1],
        ("ignored", None): [0, 1],
    }


def test_a_crop_that_is_larger_than_the_frames_is_refused(make_dataset) -> None:
    with pytest.raises(ConfigError, match=r"48x72.*32x80"):
        make_dataset(replace(SETTINGS, data=replace(SETTINGS.data, crop=(32, 80))))
