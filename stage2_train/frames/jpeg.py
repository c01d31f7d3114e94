"""Frames as JPEG files in memory, rescaled on the way in (antialiased, bilinear)."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stage2_train.frames.schema import StoreSettings

__all__ = ["decode_jpeg", "encode_frame", "rescaled"]


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
    from torchvision.io import ImageReadMode
    from torchvision.io import decode_jpeg as decode

    bytes_n = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    image_CHW = decode(bytes_n, mode=ImageReadMode.RGB)
    return image_CHW.permute(1, 2, 0).numpy()
