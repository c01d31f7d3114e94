"""Checks of arrays at the borders between modules, in one wording: what was wanted, what found."""

import numpy as np
from numpy.typing import DTypeLike

from shared.errors import ShapeError

__all__ = ["check_array"]


def check_array(
    name: str, array: object, *, shape: tuple[int | None, ...], dtype: DTypeLike
) -> None:
    """Checks that `array` is a numpy array of this shape and dtype.

    Args:
        name: what the array is called in the message, such as `FrameDetections.boxes`.
        array: the value to check.
        shape: the wanted shape; None stands for any length of that axis.
        dtype: the wanted dtype, exactly.

    Raises:
        ShapeError: if `array` is no numpy array, or its shape or dtype is another one.
    """
    if isinstance(array, np.ndarray):
        if array.dtype == dtype and array.ndim == len(shape):
            for wanted, length in zip(shape, array.shape, strict=True):
                if wanted is not None and wanted != length:
                    break
            else:
                return
        found = f"{array.shape} {array.dtype}"
    else:
        found = type(array).__name__
    axes = ", ".join("any" if length is None else str(length) for length in shape)
    raise ShapeError(f"{name}: wanted an array of shape ({axes}) {np.dtype(dtype)}, found {found}")
