"""Frames to JPEG and back."""

import numpy as np

from orn.stage2_train.clip_store.jpeg import decode_jpeg, encode_frame
from orn.stage2_train.clip_store.store_format import StoreSettings


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    data = encode_frame(stripes, StoreSettings(size=(16, 16), jpeg_quality=95))
    inner = decode_jpeg(data)[2:-2, 2:-2]
    assert np.abs(inner.astype(int) - 100).max() <= 3  # JPEG rounding on flat gray
