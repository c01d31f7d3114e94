"""Short representations of records with large arrays."""

from dataclasses import fields
from typing import Any


def short_repr(record: Any) -> str:
    """Return a one-line representation of a dataclass that shows arrays and tensors as type and
    shape, and tuples as their length. Use in a class body: `__repr__ = short_repr`."""
    parts = (f"{each.name}={_short(getattr(record, each.name))}" for each in fields(record))
    return f"{type(record).__name__}({', '.join(parts)})"


def _short(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return f"tuple ({len(value)},)" if isinstance(value, tuple) else repr(value)
