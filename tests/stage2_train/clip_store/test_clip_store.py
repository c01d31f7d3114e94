"""Reading the clip store, in this process and in others."""

import numpy as np
import pytest

from orn.shared.errors import ClipStoreError
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.crop import CropWindow


def test_frames_come_back_in_the_order_asked_for_and_of_a_window(tiny_world) -> None:
    frames = tiny_world.clips().frames("film/3")
    assert len(frames) == 8
    np.testing.assert_array_equal(frames.seconds, np.arange(8) / 10)
    images = frames.read(np.array([5, 0, 5]))
    assert images.shape == (3, 48, 72, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[0], images[2])
    np.testing.assert_array_equal(images[1], frames.read(np.array([0]))[0])
    assert (images[0] != images[1]).any()
    window = CropWindow(x=7, y=3, size=(20, 31), stored=(48, 72))
    cut = frames.read(np.array([5, 0, 5]), window)
    np.testing.assert_array_equal(cut, images[:, 3:23, 7:38], strict=True)
    assert frames.read(np.zeros(0, np.int64)).shape == (0, 48, 72, 3)


def test_what_is_not_there(tiny_world, tmp_path) -> None:
    store = tiny_world.clips()
    assert "film/3" in store
    assert "film/99" not in store
    with pytest.raises(ClipStoreError, match=r"film/99.* 12 "):
        store.frames("film/99")
    with pytest.raises(ClipStoreError, match=r"no: .*`orn clips`"):
        ClipStore(tmp_path / "no")
