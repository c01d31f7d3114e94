"""Unpickle untrusted pickles with known names, instructions and sizes.

A pickle is a program. Python's own unpickler runs it here, with stand-ins for the few functions
that it may call, a limited number of known instructions, and keys that are cheap to hash. Format:
https://docs.python.org/3/library/pickletools.html and PEP 3154.
"""

import io
import pickle
import pickletools
from collections.abc import Callable, Collection
from typing import Any

from orn.shared.text import path_text

ENCODE = "_codecs encode"
"""Function that creates bytes in protocol 2."""
_KNOWN = (
    *("PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET"),
    *("LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1"),
    *("BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "SHORT_BINSTRING", "SHORT_BINBYTES"),
    *("BINBYTES", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE", "APPEND", "APPENDS", "SETITEM"),
    *("SETITEMS", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "GLOBAL", "STACK_GLOBAL", "REDUCE"),
    *("NEWOBJ", "BUILD", "BINPERSID"),
)
_LARGEST_KEY = 1 << 60
"""Larger numbers can have equal hashes."""

_Python: Any = pickle._Unpickler  # type: ignore[attr-defined] # the documented one is in C


class RefusedPickleError(Exception):
    """Raised for a rejected pickle; the message is a clause about its file."""


class RestrictedUnpickler(_Python):  # type: ignore[misc]
    """Unpickler of known instructions, which names no object unless `find_class` is overridden.

    Args:
        file: file positioned at the start of the pickle; `load` leaves it at its end.
        most: maximum number of instructions, each of which creates at most one small value.
    """

    def __init__(self, file: io.BytesIO, *, most: int) -> None:
        super().__init__(file)
        self.dispatch = _Instructions(most)

    def find_class(self, module: str, name: str) -> Any:
        """Refuse a name."""
        named = path_text(f"{module}.{name}")
        raise RefusedPickleError(f"refers to {named}, which is not allowed; it was not executed")


class _Instructions(dict[int, Callable[[Any], None]]):
    """The functions of the known instructions by code, counted."""

    def __init__(self, most: int) -> None:
        codes = [ord(opcode.code) for opcode in pickletools.opcodes if opcode.name in _KNOWN]
        super().__init__({code: _Python.dispatch[code] for code in codes})
        self[pickle.SETITEM[0]], self[pickle.SETITEMS[0]] = _set_item, _set_items
        self._most, self._number = most, 0

    def __getitem__(self, code: int) -> Callable[[Any], None]:
        self._number += 1
        if self._number > self._most:
            raise RefusedPickleError(f"contains more than {self._most:,} instructions")
        return super().__getitem__(code)

    def __missing__(self, code: int) -> Callable[[Any], None]:
        names = [opcode.name for opcode in pickletools.opcodes if ord(opcode.code) == code]
        raise RefusedPickleError(f"contains the unexpected instruction {names or code}")


def _set_item(unpickler: Any) -> None:
    _check_keys(unpickler.stack[-2:-1])
    _Python.load_setitem(unpickler)


def _set_items(unpickler: Any) -> None:
    _check_keys(unpickler.stack[::2])
    _Python.load_setitems(unpickler)


def _check_keys(keys: list[Any]) -> None:
    """Refuse keys such as nested tuples, which can take forever to hash."""
    for key in keys:
        if type(key) is not str and not (type(key) is int and abs(key) < _LARGEST_KEY):
            raise RefusedPickleError("has keys that are neither text nor numbers")


def check_pickle(file: io.BytesIO, *, most: int, names: Collection[str]) -> None:
    """Read a pickle to its end with stand-ins for all objects, and raise RefusedPickleError unless
    it is safe to unpickle.

    Args:
        file: file positioned at the start of the pickle; afterwards at its end.
        most: maximum number of instructions.
        names: allowed globals, as "module name".

    Raises:
        Exception: of any type, if the pickle is damaged.
    """
    _Check(file, most=most, names=names).load()


class StandIn:
    """Stands for any object, which accepts all arguments and contents."""

    def __new__(cls, *_: object) -> "StandIn":
        return super().__new__(cls)

    def ignore(self, *_: object) -> None:
        """Ignore a state, an item or items."""

    __setstate__ = __setitem__ = append = extend = ignore


class _Check(RestrictedUnpickler):
    def __init__(self, file: io.BytesIO, *, most: int, names: Collection[str]) -> None:
        super().__init__(file, most=most)
        self._names, self._left = names, len(file.getvalue())

    def persistent_load(self, _: object) -> StandIn:
        return StandIn()

    def find_class(self, module: str, name: str) -> Any:
        if f"{module} {name}" not in self._names:
            return super().find_class(module, name)
        return self._encode if f"{module} {name}" == ENCODE else StandIn

    def _encode(self, text: str, encoding: str) -> bytes:
        """Refuse to encode a text so often that the result is larger than the file."""
        self._left -= len(text)
        if encoding != "latin1" or self._left < 0:
            raise RefusedPickleError("encodes text in an unexpected way")
        return b""
