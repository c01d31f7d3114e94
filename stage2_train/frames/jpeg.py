"""JPEG compression of frames in memory, with rescaling (bilinear, antialiased)."""

from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orn.stage2_train.frames.schema import StoreSettings

_RGB = 3
"""RGB mode of torchvision's decoder."""
_BASELINE = 0xC0
_TABLES = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}
"""Segments that may precede the frame header: tables, comments, application data."""


def rescaled(image: NDArray[np.uint8], settings: StoreSettings) -> Image.Image:
    """Return an (H, W, 3) uint8 RGB frame, rescaled to the stored size."""
    height, width = settings.stored_size(*image.shape[:2])
    frame = Image.fromarray(image)
    if frame.size == (width, height):
        return frame
    return frame.resize((width, height), Image.Resampling.BILINEAR)


def encode_frame(image: NDArray[np.uint8], settings: StoreSettings) -> bytes:
    """Return an (H, W, 3) uint8 RGB frame, rescaled to the stored size, as a JPEG file."""
    buffer = BytesIO()
    rescaled(image, settings).save(buffer, format="JPEG", quality=settings.jpeg_quality)
    return buffer.getvalue()


def decode_jpeg(data: bytes) -> NDArray[np.uint8]:
    """Decode a JPEG file to (H, W, 3) uint8 RGB with the same pixels as Pillow, in half the time.

    Raises:
        RuntimeError: if `data` is not a JPEG file.
    """
    import torch  # not needed to write a store

    bytes_n = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    image_HW3: NDArray[np.uint8] = _decoder()(bytes_n, _RGB).permute(1, 2, 0).numpy()
    return image_HW3


@cache
def _decoder() -> Any:
    """Return torchvision's decoder, loaded directly from its library, because importing torchvision
    takes more than a second."""
    import torch

    found = find_spec("torchvision")
    library = Path(found.origin if found and found.origin else "").with_name("image.so")
    if library.is_file():
        torch.ops.load_library(library)
    else:
        import torchvision.io  # noqa: F401  (loads the library under a different name)
    return torch.ops.image.decode_jpeg


def decode_frame(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode a JPEG file to (H, W, 3) uint8 RGB after checking its (height, width) in the header,
    before memory is allocated.

    Raises:
        RuntimeError: if `data` cannot be decoded.
        ValueError: if `data` is not a baseline JPEG file of that size.
    """
    got = jpeg_size(data)
    if got != size:
        raise ValueError(f"expected {size[0]}x{size[1]} pixels, got {got[0]}x{got[1]}")
    return decode_jpeg(data)


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return (height, width) from the header of a baseline JPEG file (ITU-T T.81, annex B).

    Stores contain only baseline files; a progressive file may take a thousand times longer to
    decode.

    Raises:
        ValueError: if `data` does not begin with the header of a baseline JPEG file.
    """
    place = 2
    while data[place : place + 1] == b"\xff" and data[:2] == b"\xff\xd8":
        segment = data[place + 1 : place + 9]
        if len(segment) == 8 and segment[0] == _BASELINE:
            return int.from_bytes(segment[4:6], "big"), int.from_bytes(segment[6:8], "big")
        if len(segment) < 8 or segment[0] not in _TABLES:
            break
        place += 2 + int.from_bytes(segment[1:3], "big")
    raise ValueError("not a baseline JPEG file")


def most_bytes(height: int, width: int) -> int:
    """Return an upper bound for the size of a stored JPEG file in bytes: 2**16 for headers and 8
    per pixel, which has 1.5 samples of at most 26 bits."""
    return 2**16 + 8 * height * width
