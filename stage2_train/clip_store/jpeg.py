"""JPEG compression of frames in memory, with rescaling (bilinear, antialiased)."""

from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orn.shared.data_files import reason
from orn.shared.errors import PipelineError
from orn.stage2_train.clip_store.store_format import StoreSettings

_RGB = 3
"""RGB mode of torchvision's decoder."""


def rescaled(image: NDArray[np.uint8], settings: StoreSettings) -> Image.Image:
    """Return an (H, W, 3) uint8 RGB frame, rescaled to the stored size."""
    height, width = settings.size
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
    image_HW3: NDArray[np.uint8] = jpeg_decoder()(bytes_n, _RGB).permute(1, 2, 0).numpy()
    return image_HW3


@cache
def jpeg_decoder() -> Any:
    """Return torchvision's decoder, loaded directly from its library, because importing torchvision
    takes more than a second.

    Raises:
        PipelineError: if it cannot be loaded.
    """
    import torch

    try:
        spec = find_spec("torchvision")
        folder = Path(spec.origin if spec and spec.origin else "torchvision").parent
        libraries = sorted(folder.glob("image*.so"))  # image.so, or from 0.29 on image_stable.so
        if libraries:
            torch.ops.load_library(libraries[0])
        else:
            import torchvision.io  # noqa: F401  (loads the library under a different name)
        return torch.ops.image.decode_jpeg
    except (ImportError, OSError, RuntimeError, AttributeError) as err:
        raise PipelineError(
            f"torchvision: its JPEG decoder cannot be loaded ({reason(err)}); install the version "
            "that belongs to torch, and check it with `orn doctor`"
        ) from err
