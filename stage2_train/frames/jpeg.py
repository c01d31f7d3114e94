"""Frames as JPEG files in memory, rescaled on the way in (antialiased, bilinear)."""

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
"""The mode of torchvision's decoder."""
_BASELINE = 0xC0
_TABLES = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}
"""Segments that may come before the header of the frame: tables, comments, data of programs."""


def rescaled(image: NDArray[np.uint8], settings: StoreSettings) -> Image.Image:
    """An (H, W, 3) uint8 RGB frame in the size that the settings give it."""
    height, width = settings.stored_size(*image.shape[:2])
    frame = Image.fromarray(image)
    if frame.size == (width, height):
        return frame
    return frame.resize((width, height), Image.Resampling.BILINEAR)


def encode_frame(image: NDArray[np.uint8], settings: StoreSettings) -> bytes:
    """An (H, W, 3) uint8 RGB frame in the store's size, as a JPEG file."""
    buffer = BytesIO()
    rescaled(image, settings).save(buffer, format="JPEG", quality=settings.jpeg_quality)
    return buffer.getvalue()


def decode_jpeg(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of one JPEG file, the same pixels as Pillow's in half the time.

    Raises:
        RuntimeError: if `data` is no JPEG file.
    """
    import torch  # here, so that writing a store does not load torch

    bytes_n = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    image_HW3: NDArray[np.uint8] = _decoder()(bytes_n, _RGB).permute(1, 2, 0).numpy()
    return image_HW3


@cache
def _decoder() -> Any:
    """Return torchvision's decoder, from its library alone: importing torchvision takes more than a
    second."""
    import torch

    found = find_spec("torchvision")
    library = Path(found.origin if found and found.origin else "").with_name("image.so")
    if library.is_file():
        torch.ops.load_library(library)
    else:
        import torchvision.io  # noqa: F401  (loads it under another name)
    return torch.ops.image.decode_jpeg


def decode_frame(data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a JPEG file of (height, width) `size`, which its header must have
    before memory is taken for it.

    Raises:
        RuntimeError: if `data` is no JPEG file.
        ValueError: if it is no baseline JPEG file of that size.
    """
    found = jpeg_size(data)
    if found != size:
        raise ValueError(f"wanted {size[0]}x{size[1]} pixels, found {found[0]}x{found[1]}")
    return decode_jpeg(data)


def jpeg_size(data: bytes) -> tuple[int, int]:
    """(height, width) that the header of a JPEG file claims; nothing is decoded.

    Only of baseline files, as they are stored: a progressive one may take a thousand times as long
    to decode as one of its size should. ITU-T T.81, annex B.

    Raises:
        ValueError: if `data` does not begin as such a file.
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
    """More than a stored JPEG file can take: 2**16 for its head, 8 a pixel, of which it has 1.5
    samples of at most 26 bits."""
    return 2**16 + 8 * height * width
