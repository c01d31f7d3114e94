"""Frames to JPEG and back."""

import io

import numpy as np
import pytest
from PIL import Image

from stage2_train.frames.jpeg import decode_jpeg, encode_frame
from stage2_train.frames.schema import StoreSettings


def test_decodes_to_the_same_pixels_as_pillow() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    data = encode_frame(image, StoreSettings(height=37, width=53, jpeg_quality=90))
    decoded = decode_jpeg(data)
    np.testing.assert_array_equal(decoded, np.asarray(Image.open(io.BytesIO(data))))
    assert decoded.flags.c_contiguous


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    data = encode_frame(stripes, StoreSettings(height=16, width=16, jpeg_quality=95))
    inner = decode_jpeg(data)[2:-2, 2:-2]
    assert np.abs(inner.astype(int) - 100).max() <= 3  # JPEG rounding on flat grey


def test_size_is_height_by_width() -> None:
    data = encode_frame(np.zeros((10, 20, 3), np.uint8), StoreSettings(height=8, width=24))
    assert decode_jpeg(data).shape == (8, 24, 3)


def test_no_jpeg() -> None:
    with pytest.raises(RuntimeError):
        decode_jpeg(b"no picture")
