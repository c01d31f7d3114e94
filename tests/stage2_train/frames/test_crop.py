"""The crop that frames, boxes and masks share."""

import numpy as np
import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.frames.crop import (
    CropWindow,
    boxes_in_crop,
    centre_window,
    random_window,
)


def test_window_on_another_grid() -> None:
    window = CropWindow(x=10, y=20, height=30, width=40, stored_height=60, stored_width=80)
    assert window.on_grid(120, 80) == (10.0, 40.0, 50.0, 100.0)
    assert window.on_grid(60, 160) == (20.0, 20.0, 100.0, 50.0)


def test_centre_window() -> None:
    window = centre_window((256, 256), (224, 192))
    assert (window.y, window.x) == (16, 32)
    assert (centre_window((5, 5), (4, 4)).y, centre_window((5, 5), (5, 5)).x) == (0, 0)


def test_random_windows_reach_every_place() -> None:
    generator = np.random.default_rng(0)
    places = {
        (window.y, window.x)
        for window in (random_window((5, 6), (4, 4), generator) for _ in range(200))
    }
    assert places == {(y, x) for y in range(2) for x in range(3)}


@pytest.mark.parametrize("crop", [(61, 80), (60, 81)])
def test_crop_larger_than_the_store(crop) -> None:
    with pytest.raises(ConfigError, match=rf"stored frames of 60x80, got {crop[0]}x{crop[1]}"):
        centre_window((60, 80), crop)
    with pytest.raises(ConfigError, match="choose a smaller crop or store larger frames"):
        random_window((60, 80), crop, np.random.default_rng(0))


def test_boxes_in_crop() -> None:
    window = CropWindow(x=10, y=20, height=30, width=40, stored_height=60, stored_width=80)
    boxes = np.array([[20, 40, 100, 100], [0, 0, 40, 60], [0, 0, 10, 10]], np.float32)
    moved = boxes_in_crop(boxes, window, height=120, width=160)  # 2 grid pixels a stored pixel
    assert moved.dtype == np.float32
    np.testing.assert_array_equal(moved, [[0, 0, 40, 30], [0, 0, 10, 10], [0, 0, 0, 0]])
    assert boxes_in_crop(np.zeros((0, 4), np.float32), window, height=1, width=1).shape == (0, 4)
