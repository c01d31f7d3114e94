"""Frames to JPEG and back."""

import io

import numpy as np
from PIL import Image

from orn.stage2_train.clip_store.jpeg import decode_jpeg, encode_frame
from orn.stage2_train.clip_store.store_format import StoreSettings


def test_decodes_to_the_same_pixels_as_pillow() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    data = encode_frame(image, StoreSettings(size=(37, 53), jpeg_quality=90))
    decoded = decode_jpeg(data)
    np.testing.assert_array_equal(decoded, np.asarray(Image.open(io.BytesIO(data))))
    assert decoded.flags.c_contiguous


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    data = encode_frame(stripes, StoreSettings(size=(16, 16), jpeg_quality=95))
    inner = decode_jpeg(data)[2:-2, 2:-2]
    assert np.abs(inner.astype(int) - 100).max() <= 3  # JPEG rounding on flat gray
