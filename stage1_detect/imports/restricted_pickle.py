"""Load the pickles of released masks without executing code in them.

A pickle is loaded with substitutes for the three NumPy names that such files need. All other names
are rejected.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.data_files import read_bounded
from orn.shared.errors import ObjectImportError
from orn.shared.pickles import RefusedPickleError, RestrictedUnpickler
from orn.shared.text import path_text

MAX_BYTES = 2**29
"""Maximum size of a file; an hour of released masks is half as large."""
MAX_INSTRUCTIONS = 3_000_000
"""Maximum number of opcodes: 7,000 frames of the format `authors`; `epic100` has three per frame.
"""


class PickledArray:
    """Substitute for an array; the state in the pickle sets `values`."""

    values: NDArray[Any] | None = None
    """Read-only array of any shape, float32 or float64."""

    def __init__(self, kind: object, shape: object, order: object) -> None:
        """Create an empty array with the arguments of NumPy's `_reconstruct`."""
        if kind is not PickledArray or shape != (0,) or order not in (b"b", "b"):
            raise ValueError("expected a NumPy array")

    def __setstate__(self, state: object) -> None:
        """Set the values from bytes, whose number must match the shape."""
        match state:
            case (1, tuple(shape), _Type(dtype=str(dtype)), False, bytes(content)) if len(
                shape
            ) <= 8 and all(type(length) is int and length >= 0 for length in shape):
                self.values = np.frombuffer(content, dtype=dtype).reshape(shape)
            case _:
                raise ValueError("expected a NumPy array")


class _Type:
    """Substitute for a data type; its state sets the byte order."""

    dtype: str | None = None

    def __init__(self, code: object, *_: object) -> None:
        if code not in ("f4", "f8"):
            raise ValueError("expected an array of float32 or float64")
        self.code = code

    def __setstate__(self, state: object) -> None:
        if state != (3, "<", None, None, None, -1, -1, 0):
            raise ValueError("expected a little-endian array")
        self.dtype = f"<{self.code}"


_STAND_INS: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): PickledArray,
    ("numpy._core.multiarray", "_reconstruct"): PickledArray,  # NumPy 2
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): _Type,
}


class _Unpickler(RestrictedUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _STAND_INS.get((module, name)) or super().find_class(module, name)


def load_plain(path: Path) -> tuple[Any, int]:
    """Return the content of a pickle, plain values and `PickledArray` in lists, tuples and dicts,
    and its number of bytes.

    Lists may contain themselves, or the same list many times: the caller must check types and
    lengths.

    Raises:
        ObjectImportError: if the pickle is corrupt, too long, or contains other values.
    """
    data = read_bounded(path, most_bytes=MAX_BYTES, error=ObjectImportError)
    try:
        return _Unpickler(io.BytesIO(data), most=MAX_INSTRUCTIONS).load(), len(data)
    except RefusedPickleError as err:
        raise ObjectImportError(
            f"the file is not one of the released masks: it {err}; remove it", where=path
        ) from err
    except Exception as err:  # pickle does not document its exceptions
        raise ObjectImportError(
            f"corrupt pickle ({path_text(err)}); download it again", where=path
        ) from err
