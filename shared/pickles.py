"""Check untrusted pickles before they are unpickled.

A pickle is a program for a stack machine. The unpicklers in this project call only a few known
functions, but a program could still exhaust memory or time. The check simulates the instructions
with types instead of values. Format: https://docs.python.org/3/library/pickletools.html and PEP
3154.
"""

import io
import pickletools
import re
from collections.abc import Collection
from typing import Any

from orn.shared.text import path_text

ENCODE = "_codecs encode"
"""Function that creates bytes in protocol 2."""

_TAKEN = {
    **dict.fromkeys(("APPEND", "BUILD", "TUPLE1", "BINPERSID"), 1),
    **dict.fromkeys(("SETITEM", "TUPLE2", "REDUCE", "NEWOBJ", "STACK_GLOBAL"), 2),
    "TUPLE3": 3,
}
"""Number of values popped by an instruction; other instructions pop none, or all up to a mark."""
_SINCE_MARK = ("APPENDS", "SETITEMS", "TUPLE")
_PUSH_NOTHING = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "BUILD", "PROTO", "FRAME", "STOP")
_PUTS = ("MEMOIZE", "BINPUT", "LONG_BINPUT")
_GETS = ("BINGET", "LONG_BINGET")
_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1")
_TEXTS = ("BINUNICODE", "SHORT_BINUNICODE", "SHORT_BINSTRING")
_OTHERS = ("MARK", "NONE", "NEWTRUE", "NEWFALSE", "BINFLOAT", "SHORT_BINBYTES", "BINBYTES",
           "EMPTY_LIST", "EMPTY_DICT", "EMPTY_TUPLE", "GLOBAL")  # fmt: skip
_KNOWN = frozenset(
    (*_TAKEN, *_SINCE_MARK, *_PUSH_NOTHING, *_PUTS, *_GETS, *_NUMBERS, *_TEXTS, *_OTHERS)
)
_KEYS = ("text", "old text", "character", "latin1", "number")
"""Allowed types of keys; nested tuples can take forever to hash, and large numbers can collide."""
_ENCODED = (("text", "latin1"), ("character", "latin1"))
"""Arguments of `ENCODE`; others could encode a long text many times, or double it each time."""
_LISTS = re.compile(rb"(?:\]\x94){1,4096}")
"""Empty lists, which are the majority in VLOG masks; handled together, in a third of the time."""


class RefusedPickleError(Exception):
    """Raised for a rejected pickle; the message is a clause about its file."""


def check_pickle(file: io.BytesIO, *, most: int, names: Collection[str] | None = None) -> None:
    """Read a pickle to its end, and raise RefusedPickleError unless it is safe to unpickle.

    Args:
        file: file positioned at the start of the pickle; afterwards at its end.
        most: maximum number of instructions, each of which creates at most one small value.
        names: allowed globals, as "module name"; None leaves the check to the unpickler.

    Raises:
        Exception: of any type raised by `pickletools.genops`, if the pickle is damaged.
    """
    data = file.getvalue()
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    marks: list[int] = []
    number = 0
    for opcode, argument, _ in pickletools.genops(file):
        name, number = opcode.name, number + 1
        if name not in _KNOWN:
            raise RefusedPickleError(f"contains the unexpected instruction {name}")
        if number > most:
            raise RefusedPickleError(f"contains more than {most:,} instructions")
        if name in _PUTS:
            place = len(memo) if argument is None else argument
            if place > number:  # unpicklers allocate memory for all lower indices
                raise RefusedPickleError(f"memoizes a value at the large index {place:,}")
            memo[place] = _old(stack[-1])
            if name == "MEMOIZE" and (lists := _LISTS.match(data, file.tell())):
                count = (lists.end() - lists.start()) // 2
                memo |= dict.fromkeys(range(len(memo), len(memo) + count), "EMPTY_LIST")
                stack += ["EMPTY_LIST"] * count
                number += 2 * count
                file.seek(lists.end())
        elif name in _GETS:
            stack.append(memo[argument])
        elif name == "MARK":
            marks.append(len(stack))
        else:
            start = marks.pop() if name in _SINCE_MARK else len(stack) - _TAKEN.get(name, 0)
            taken = stack[start:]
            del stack[start:]
            _check(name, argument, taken, names)
            if name not in _PUSH_NOTHING:
                stack.append(_kind(name, argument, taken))


def _check(name: str, argument: Any, taken: list[Any], names: Collection[str] | None) -> None:
    if name == "GLOBAL" and names is not None and argument not in names:
        named = path_text(argument.replace(" ", "."))
        raise RefusedPickleError(f"refers to {named}, which is not allowed; it was not run")
    if name in ("SETITEM", "SETITEMS"):
        if not all(isinstance(key, str) and key in _KEYS for key in taken[::2]):
            raise RefusedPickleError("has keys that are neither text nor numbers")
    elif name == "REDUCE" and taken[0] == ENCODE and taken[1] not in _ENCODED:
        raise RefusedPickleError("encodes text in an unexpected way")


def _old(kind: Any) -> Any:
    """Return the type of a value that is reused."""
    if isinstance(kind, tuple):
        return "old tuple"
    return "old text" if kind == "text" else kind


def _kind(name: str, argument: Any, taken: list[Any]) -> Any:
    """Return the type that an instruction pushes; for a tuple, the types of its values."""
    if name in _TEXTS:
        return "latin1" if argument == "latin1" else "text" if len(argument) > 1 else "character"
    if name in _NUMBERS:
        return "number" if abs(argument) < 1 << 60 else name
    if name.startswith("TUPLE"):
        return tuple(taken)
    return argument if name == "GLOBAL" else name
