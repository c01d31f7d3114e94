"""Reads the pickles that masks are released as, without the power that pickles have.

They are looked over first, then unpickled with stand-ins for the three names of numpy that they
need. Any other name is refused, so nothing of theirs is ever called.
"""

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ObjectImportError
from orn.shared.pickles import RefusedPickleError, check_pickle
from orn.shared.text import path_text

MAX_BYTES = 2**29
"""Size up to which a file is read; an hour of released masks has half of that."""
MAX_INSTRUCTIONS = 3_000_000
"""Some 7,000 frames as the authors of the paper write them; EPIC's need three a frame."""


class PickledArray:
    """Stands for an array of numbers; `values` is set once the pickle has given them."""

    values: NDArray[Any] | None = None
    """Any shape, float32 or float64; not to be written to."""

    def __init__(self, kind: object, shape: object, order: object) -> None:
        """Begin an array, as numpy's `_reconstruct` is called."""
        if kind is not PickledArray or shape != (0,) or order not in (b"b", "b"):
            raise ValueError("an array that numpy does not write so")

    def __setstate__(self, state: object) -> None:
        """Fill it from bytes, which it cannot claim more of than there are."""
        match state:
            case (1, tuple(shape), _Type(dtype=str(dtype)), False, bytes(content)) if len(
                shape
            ) <= 8 and all(type(length) is int and length >= 0 for length in shape):
                self.values = np.frombuffer(content, dtype=dtype).reshape(shape)
            case _:
                raise ValueError("an array that numpy does not write so")


class _Type:
    """Stands for an element type; the code comes first, then the byte order."""

    dtype: str | None = None

    def __init__(self, code: object, *_: object) -> None:
        if code not in ("f4", "f8"):
            raise ValueError("an array of another type than float32 and float64")
        self.code = code

    def __setstate__(self, state: object) -> None:
        if state != (3, "<", None, None, None, -1, -1, 0):
            raise ValueError("an array of another byte order")
        self.dtype = f"<{self.code}"


_STAND_INS: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): PickledArray,
    ("numpy._core.multiarray", "_reconstruct"): PickledArray,  # of numpy 2
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): _Type,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in _STAND_INS:
            named = path_text(f"{module}.{name}")
            raise RefusedPickleError(f"names {named}, which no file of masks needs; it was not run")
        return _STAND_INS[module, name]


def load_plain(data: bytes, *, source: str) -> Any:
    """Return the value in a pickle: plain values in lists, tuples and dicts, and `PickledArray`.

    Lists may hold one another in circles or one list many times; check types and numbers while
    going through them.

    Args:
        data: the whole pickle; what follows its end is not looked at.
        source: where it comes from, for messages.

    Raises:
        ObjectImportError: if it is damaged, long, or asks for more than such values.
    """
    try:
        check_pickle(io.BytesIO(data), most=MAX_INSTRUCTIONS)
        return _Unpickler(io.BytesIO(data)).load()
    except RefusedPickleError as err:
        raise ObjectImportError(
            f"{source}: expected released masks, got a file that {err}"
        ) from err
    except Exception as err:  # of pickletools and pickle, which document no types
        raise ObjectImportError(f"{source}: a damaged pickle: {path_text(err)}") from err
