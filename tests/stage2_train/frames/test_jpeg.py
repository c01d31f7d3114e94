"""Frames to JPEG and back."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from orn.stage2_train.frames.jpeg import (
    decode_frame,
    decode_jpeg,
    encode_frame,
    jpeg_size,
)
from orn.stage2_train.frames.schema import StoreSettings
from tests.bounded import bounded


def test_decodes_to_the_same_pixels_as_pillow() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    data = encode_frame(image, StoreSettings(size=(37, 53), jpeg_quality=90))
    decoded = decode_jpeg(data)
    np.testing.assert_array_equal(decoded, np.asarray(Image.open(io.BytesIO(data))))
    assert decoded.flags.c_contiguous


@pytest.mark.parametrize("size", [(1, 1), (8, 24), (300, 7)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_size_by_the_header(size, mode) -> None:
    buffer = io.BytesIO()
    Image.new(mode, size[::-1]).save(buffer, format="JPEG", comment=b"x" * 500, optimize=True)
    assert jpeg_size(buffer.getvalue()) == size
    if mode != "CMYK":
        assert decode_frame(buffer.getvalue(), size).shape == (*size, 3)


def test_a_frame_that_claims_65500_x_65500_is_not_decoded(tmp_path: Path) -> None:
    data = bytearray(encode_frame(np.zeros((8, 24, 3), np.uint8), StoreSettings(size=8)))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = (65_500).to_bytes(2, "big") * 2
    with pytest.raises(ValueError, match="expected 8x24 pixels, got 65500x65500"):
        bounded(decode_frame, bytes(data), (8, 24))


def test_a_progressive_picture_is_none_of_a_store() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (24, 8)).save(buffer, format="JPEG", progressive=True)
    with pytest.raises(ValueError, match="not a baseline JPEG file"):
        jpeg_size(buffer.getvalue())


@given(st.binary(max_size=60), st.integers(0, 700), st.integers(0, 255))
def test_any_bytes_are_a_picture_of_the_size_or_an_error(tail, place, value) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (8, 24, 3), np.uint8)
    data = bytearray(encode_frame(image, StoreSettings(size=(8, 24))))
    data[place] = value
    for each in (bytes(data), bytes(data[:place]) + tail, tail):
        with suppress(RuntimeError, ValueError):
            assert decode_frame(each, (8, 24)).shape == (8, 24, 3)
