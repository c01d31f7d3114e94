"""The crop that frames, boxes and masks share."""

import numpy as np

from orn.stage2_train.clip_store.crop import random_window


def test_random_windows_reach_every_place() -> None:
    generator = np.random.default_rng(0)
    places = {
        (window.y, window.x)
        for window in (random_window((5, 6), (4, 4), generator) for _ in range(200))
    }
    assert places == {(y, x) for y in range(2) for x in range(3)}
