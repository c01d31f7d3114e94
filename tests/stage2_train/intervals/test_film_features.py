"""The features of a film, block by block: of its maps, its motion, and the motion inside masks."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from orn.shared.masks import rle
from orn.shared.shards.detection_folder import DetectionFolder
from orn.stage2_train.intervals.film_features import BLOCK, FilmInputs
from orn.stage2_train.intervals.film_objects import num_object_features
from orn.stage2_train.model.heads import MOTION_PARTS, means_of_parts
from orn.stage2_train.settings.model_config import MOTION_CHANNELS
from tests.worlds.shards import BOOK, CUP, PERSON, blocks, write_shard

TIMES, CHANNELS, CELLS = BLOCK + 10, 3, (5, 10)
"""Cells of 2 x 2 pixels."""
SIZE = (10, 20)
UNSEEN = range(40, 50)
"""Times without detections."""


@dataclass(frozen=True)
class Frames:
    """A film whose maps and motion are known."""

    seconds: np.ndarray
    of_maps: np.ndarray
    of_motion: np.ndarray

    def maps(self, frames_n: np.ndarray) -> np.ndarray:
        return self.of_maps[frames_n]

    def motion(self, frames_n: np.ndarray) -> np.ndarray:
        return self.of_motion[frames_n]


@pytest.fixture
def film(tmp_path):
    """A film in which a cup moves, beside a weak person; with its detections."""
    rng = np.random.default_rng(0)
    found = {}
    for time in range(TIMES):
        left, top = (int(rng.integers(high)) for high in (12, 5))
        weak = (PERSON, 0.2, 0, 0, 20, 10)
        found[time] = blocks((CUP, 0.9, left, top, left + 5, top + 3), weak, height=10, width=20)
    placed = [(time, time / 10, own) for time, own in found.items() if time not in UNSEEN]
    write_shard(tmp_path / "shard-000000.zarr.zip", {"film": placed}, size=SIZE)
    frames = Frames(
        seconds=np.arange(TIMES) / 10,
        of_maps=rng.normal(size=(TIMES, CHANNELS, 2, 2)).astype(np.float16),
        of_motion=rng.normal(size=(TIMES, MOTION_CHANNELS, *CELLS)).astype(np.float16),
    )
    return frames, DetectionFolder(tmp_path).video("film"), found


def inside(frames: Frames, found, time: int) -> np.ndarray:
    """The mean motion inside the mask of the cup, by loops over its pixels."""
    frame = found[time]
    mask_HW = rle.decode(frame.masks[0], height=10, width=20)
    places = np.argwhere(mask_HW)
    return np.mean([frames.of_motion[time, :, y // 2, x // 2].astype(float) for y, x in places], 0)


def test_features_are_of_their_own_times_in_every_block(film) -> None:
    frames, detections, found = film
    inputs = FilmInputs(
        followed=(CUP, PERSON, BOOK),
        score_threshold=0.5,
        rate=10.0,
        map_channels=CHANNELS,
        reads_motion=True,
    )
    features_TS = inputs.of_film(frames, detections)
    assert features_TS.shape == (TIMES, inputs.num_features)
    of_objects, of_parts = num_object_features(3), MOTION_CHANNELS * MOTION_PARTS**2
    ends = np.cumsum([of_objects, CHANNELS, of_parts])
    objects_TX, maps_TC, parts_TX, inside_TX = np.split(features_TS.astype(float), ends, axis=1)
    assert maps_TC == pytest.approx(frames.of_maps.mean(axis=(2, 3), dtype=float), abs=1e-2)
    expected_TX = means_of_parts(torch.from_numpy(frames.of_motion.astype(np.float32))).numpy()
    assert parts_TX == pytest.approx(expected_TX, abs=1e-2)
    inside_TKM = inside_TX.reshape(TIMES, 3, MOTION_CHANNELS)
    for time in range(TIMES):
        if time in UNSEEN:
            assert not inside_TKM[time].any() and not objects_TX[time].any()
        else:
            expected_M = inside(frames, found, time)
            assert inside_TKM[time, 0] == pytest.approx(expected_M, abs=1e-2)
            assert objects_TX[time].any()
    assert not inside_TKM[:, 1:].any()  # too weak, and none
