"""Pickles from others, looked over before an unpickler follows them.

A pickle is a program for a stack machine. The unpicklers that are used here call nothing that it
names but a few functions that are known; what is left is a program that fills the memory or never
ends. So its instructions are followed once without making any value, only the kind of each.
Format: https://docs.python.org/3/library/pickletools.html and PEP 3154.
"""

import io
import pickletools
import re
from collections.abc import Collection
from typing import Any

from orn.shared.text import path_text

ENCODE = "_codecs encode"
"""What makes bytes of text in a pickle of protocol 2."""

_TAKEN = {
    **dict.fromkeys(("APPEND", "BUILD", "TUPLE1", "BINPERSID"), 1),
    **dict.fromkeys(("SETITEM", "TUPLE2", "REDUCE", "NEWOBJ", "STACK_GLOBAL"), 2),
    "TUPLE3": 3,
}
"""Values that an instruction takes from the stack; others take none, or those since a mark."""
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
"""Kinds of keys; hashing tuples of tuples can take for ever, and large numbers can collide."""
_ENCODED = (("text", "latin1"), ("character", "latin1"))
"""Of other arguments few bytes could have a long text encoded many times, or doubled each time."""
_LISTS = re.compile(rb"(?:\]\x94){1,4096}")
"""Empty lists, most of the masks of VLOG; followed at once, in a third of the time."""


class RefusedPickleError(Exception):
    """Why a pickle is not followed, as a clause about its file."""


def check_pickle(file: io.BytesIO, *, most: int, names: Collection[str] | None = None) -> None:
    """Read a pickle up to its end, and raise RefusedPickleError unless it is harmless to unpickle.

    Args:
        file: stands at its beginning, and behind its end afterwards.
        most: instructions, each of which makes one small value at most.
        names: what it may name, as "module name"; None leaves that to the unpickler.

    Raises:
        Exception: of some type, as `pickletools.genops`, if it is damaged.
    """
    data = file.getvalue()
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    marks: list[int] = []
    number = 0
    for opcode, argument, _ in pickletools.genops(file):
        name, number = opcode.name, number + 1
        if name not in _KNOWN:
            raise RefusedPickleError(f"holds the instruction {name}, which such files do not need")
        if number > most:
            raise RefusedPickleError(f"holds more than {most:,} instructions")
        if name in _PUTS:
            place = len(memo) if argument is None else argument
            if place > number:  # unpicklers take memory for all places before it
                raise RefusedPickleError(f"remembers a value at the far place {place:,}")
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
        raise RefusedPickleError(f"names {named}, which such files do not need; it was not run")
    if name in ("SETITEM", "SETITEMS"):
        if not all(isinstance(key, str) and key in _KEYS for key in taken[::2]):
            raise RefusedPickleError("has keys that are neither text nor numbers")
    elif name == "REDUCE" and taken[0] == ENCODE and taken[1] not in _ENCODED:
        raise RefusedPickleError("makes bytes of text otherwise than pickles of bytes do")


def _old(kind: Any) -> Any:
    """What a value counts as when it is used again."""
    if isinstance(kind, tuple):
        return "old tuple"
    return "old text" if kind == "text" else kind


def _kind(name: str, argument: Any, taken: list[Any]) -> Any:
    """What an instruction puts on the stack; of a tuple the kinds of its values."""
    if name in _TEXTS:
        return "latin1" if argument == "latin1" else "text" if len(argument) > 1 else "character"
    if name in _NUMBERS:
        return "number" if abs(argument) < 1 << 60 else name
    if name.startswith("TUPLE"):
        return tuple(taken)
    return argument if name == "GLOBAL" else name
