"""The crop that frames, boxes and masks share."""

import numpy as np
import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.clip_store.crop import center_window, random_window


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
        center_window((60, 80), crop)
    with pytest.raises(ConfigError, match="choose a smaller crop or store larger frames"):
        random_window((60, 80), crop, np.random.default_rng(0))
