"""Reads the pickles that masks are released as, without the power that pickles have.

A pickle is a program for a stack machine that may call anything. This machine knows the
instructions that write down plain values, and three names of numpy for small arrays of numbers. It
looks up no name and calls nothing: a name is a word to it. Whatever else is in the stream is
refused with its name, before anything after it is read. Every instruction costs little memory, and
their number is bounded, so a small file cannot ask for much.
Format: https://docs.python.org/3/library/pickletools.html and PEP 3154.
"""

import pickletools
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import MaskImportError

MAX_BYTES = 2**30
"""Size up to which a file is read; an hour of released masks has a quarter of that."""
MAX_INSTRUCTIONS = 10_000_000
"""Some 24,000 frames as the authors of the paper write them; EPIC's need three a frame."""

_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): "_reconstruct",
    ("numpy._core.multiarray", "_reconstruct"): "_reconstruct",  # numpy 2 writes this
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
}
_TYPES = ("f4", "f8")
_INSTRUCTION_NAMES = {opcode.code: opcode.name for opcode in pickletools.opcodes}
_EMPTY_LISTS = re.compile(rb"(?:\]\x94){1,4096}")
"""Lists of no detections, most of an authors' file; bounded, because matching takes memory, too."""


@dataclass(slots=True, eq=False)
class PickledArray:
    """An array of numbers in a pickle; `values` is set once the pickle has said them."""

    values: NDArray[Any] | None = None
    """Any shape, float32 or float64; not to be written to."""


@dataclass(frozen=True, slots=True)
class _Name:
    """A name that is allowed, which nothing is ever looked up by."""

    word: str


@dataclass(slots=True)
class _Type:
    """An element type as a pickle builds it: first the code, then the byte order."""

    code: str
    is_little_endian: bool = False


def load_plain(data: bytes, *, source: str) -> Any:
    """The value in a pickle: None, bool, int, float, str, bytes, and lists, tuples and dicts of
    them, and `PickledArray`.

    Lists may hold one another in circles or one list many times, as the stream says; check types
    and numbers while going through them.

    Args:
        data: the whole pickle; what follows its end is not looked at.
        source: where it comes from, for messages.

    Raises:
        MaskImportError: naming the instruction or the global that is not allowed, or what is
            malformed, and the place in the stream.
    """
    if len(data) > MAX_BYTES:
        raise MaskImportError(f"{source}: wanted at most {MAX_BYTES} bytes, found {len(data)}")
    machine = _Machine(data, source)
    try:
        return machine.run()
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as err:
        if isinstance(err, MaskImportError):
            raise
        raise MaskImportError(
            f"{source}: a damaged pickle: {type(err).__name__} ({err}) before byte {machine.place} "
            f"of {len(data)}"
        ) from err


class _Machine:
    """The stack machine: a value stack, remembered values, and the places of open marks."""

    def __init__(self, data: bytes, source: str) -> None:
        self.data = data
        self.source = source
        self.place = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.marks: list[int] = []
        self.budget = MAX_INSTRUCTIONS

    def run(self) -> Any:
        """Follows the stream to its end."""
        data = self.data
        while (code := data[self.place]) != _STOP:  # an IndexError where it is cut short
            self.place += 1
            handler = _HANDLERS.get(code)
            if handler is None:
                name = _INSTRUCTION_NAMES.get(chr(code), f"0x{code:02x}")
                raise self.refusal(f"the instruction {name}")
            self.budget -= 1
            if self.budget < 0:
                self.spend(0)
            handler(self)
        (value,) = self.stack
        return value

    def spend(self, instructions: int) -> None:
        """Takes these off what may still be followed, before they are."""
        self.budget -= instructions
        if self.budget < 0:
            raise MaskImportError(
                f"{self.source}: wanted at most {MAX_INSTRUCTIONS} instructions, found more"
            )

    def refusal(self, what: str) -> MaskImportError:
        """The error about something that mask files do not need."""
        return MaskImportError(
            f"{self.source}: refused: the pickle holds {what} near byte {self.place}, which no "
            "file of masks needs; nothing of it was run"
        )

    def take(self, size: int) -> bytes:
        """The next bytes."""
        start, self.place = self.place, self.place + size
        if self.place > len(self.data):
            raise ValueError(f"cut short, {size} bytes wanted")
        return self.data[start : self.place]

    def byte(self) -> int:
        """The next byte."""
        value = self.data[self.place]
        self.place += 1
        return value

    def number(self, size: int, *, signed: bool = False) -> int:
        """The next number of so many bytes, little-endian."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def since_mark(self) -> list[Any]:
        """Takes the values above the last mark off the stack."""
        mark = self.marks.pop()
        if mark > len(self.stack):
            raise ValueError("a mark above the stack")
        values = self.stack[mark:]
        del self.stack[mark:]
        return values


def _empty_list(machine: _Machine) -> None:
    """`EMPTY_LIST`, and a run of `EMPTY_LIST MEMOIZE` at once."""
    run = _EMPTY_LISTS.match(machine.data, machine.place - 1)
    if run is None:
        machine.stack.append([])
        return
    num_lists = (run.end() - run.start()) // 2
    machine.spend(2 * num_lists - 1)  # this one is counted
    lists: list[list[Any]] = [[] for _ in range(num_lists)]
    first = len(machine.memo)
    machine.memo.update(zip(range(first, first + num_lists), lists, strict=True))
    machine.stack += lists
    machine.place = run.end()


def _extend(machine: _Machine, values: list[Any]) -> None:
    if type(machine.stack[-1]) is not list:
        raise ValueError(f"values appended to a {type(machine.stack[-1]).__name__}")
    machine.stack[-1].extend(values)


def _set_items(machine: _Machine, pairs: list[Any]) -> None:
    target = machine.stack[-1]
    if type(target) is not dict or len(pairs) % 2:
        raise ValueError(f"{len(pairs)} keys and values for a {type(target).__name__}")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if type(key) is not str:
            raise ValueError(f"a key that is a {type(key).__name__}")
        target[key] = value


def _tuple_of(machine: _Machine, length: int) -> None:
    if len(machine.stack) < length:
        raise ValueError("a tuple of more than there is")
    machine.stack[-length:] = [tuple(machine.stack[-length:])]


def _name(machine: _Machine, module: Any, name: Any) -> None:
    """Puts an allowed name on the stack."""
    word = _NAMES.get((module, name)) if type(module) is str and type(name) is str else None
    if word is None:
        raise machine.refusal(f"the global {_word(module)}.{_word(name)}")
    machine.stack.append(_Name(word))


def _word(value: Any) -> str:
    """Part of a message; lists are not written out, few bytes can nest them beyond all time."""
    return value[:100] if type(value) is str else f"<{type(value).__name__}>"


def _global(machine: _Machine) -> None:
    end = machine.data.index(b"\n", machine.place)
    second = machine.data.index(b"\n", end + 1)
    module = machine.data[machine.place : end].decode()
    name = machine.data[end + 1 : second].decode()
    machine.place = second + 1
    _name(machine, module, name)


def _reduce(machine: _Machine) -> None:
    """A call as the stream has it: only the two that begin an array and an element type."""
    arguments, called = machine.stack.pop(), machine.stack.pop()
    match called, arguments:
        case _Name(word="_reconstruct"), (_Name(word="ndarray"), (0,), b"b" | "b"):
            machine.stack.append(PickledArray())
        case _Name(word="dtype"), (str(code), int(), int()) if code in _TYPES:
            machine.stack.append(_Type(code))
        case _Name(word="dtype"), (str(code), *_):
            raise machine.refusal(f"an array of type {code[:20]!r}")
        case _:
            word = called.word if type(called) is _Name else type(called).__name__
            raise machine.refusal(f"a call of {word}")


def _build(machine: _Machine) -> None:
    """Fills an array or an element type that was begun."""
    state, target = machine.stack.pop(), machine.stack[-1]
    match target, state:
        case _Type(), (3, "<", None, None, None, -1, -1, 0):
            target.is_little_endian = True
        case PickledArray(), (
            1,
            tuple(shape),
            _Type(is_little_endian=True) as kind,
            False,
            bytes(),
        ):
            values = np.frombuffer(state[4], dtype=f"<{kind.code}")
            if len(shape) > 8 or not all(type(length) is int and length >= 0 for length in shape):
                raise ValueError("the shape of an array")
            target.values = values.reshape(shape)
        case _:
            raise machine.refusal(f"an unknown state of a {type(target).__name__}")


def _memoize(machine: _Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _put(machine: _Machine, index: int) -> None:
    machine.memo[index] = machine.stack[-1]


def _protocol(machine: _Machine) -> None:
    version = machine.byte()
    if not 2 <= version <= 5:
        raise ValueError(f"protocol {version}")


_STOP = ord(".")
_HANDLERS: dict[int, Callable[[_Machine], object]] = {
    0x80: _protocol,
    0x95: lambda m: m.take(8),  # how much belongs together, of no use here
    ord("("): lambda m: m.marks.append(len(m.stack)),
    ord("N"): lambda m: m.stack.append(None),
    0x88: lambda m: m.stack.append(True),
    0x89: lambda m: m.stack.append(False),
    ord("K"): lambda m: m.stack.append(m.byte()),
    ord("M"): lambda m: m.stack.append(m.number(2)),
    ord("J"): lambda m: m.stack.append(m.number(4, signed=True)),
    ord("G"): lambda m: m.stack.append(struct.unpack(">d", m.take(8))[0]),
    0x8C: lambda m: m.stack.append(m.take(m.byte()).decode()),
    ord("X"): lambda m: m.stack.append(m.take(m.number(4)).decode()),
    ord("C"): lambda m: m.stack.append(m.take(m.byte())),
    ord("B"): lambda m: m.stack.append(m.take(m.number(4))),
    ord("]"): _empty_list,
    ord("a"): lambda m: _extend(m, [m.stack.pop()]),
    ord("e"): lambda m: _extend(m, m.since_mark()),
    ord("}"): lambda m: m.stack.append({}),
    ord("s"): lambda m: _set_items(m, [m.stack.pop(-2), m.stack.pop()]),
    ord("u"): lambda m: _set_items(m, m.since_mark()),
    ord(")"): lambda m: m.stack.append(()),
    ord("t"): lambda m: m.stack.append(tuple(m.since_mark())),
    0x85: lambda m: _tuple_of(m, 1),
    0x86: lambda m: _tuple_of(m, 2),
    0x87: lambda m: _tuple_of(m, 3),
    0x94: _memoize,
    ord("q"): lambda m: _put(m, m.byte()),
    ord("r"): lambda m: _put(m, m.number(4)),
    ord("h"): lambda m: m.stack.append(m.memo[m.byte()]),
    ord("j"): lambda m: m.stack.append(m.memo[m.number(4)]),
    ord("c"): _global,
    0x93: lambda m: _name(m, m.stack.pop(-2), m.stack.pop()),
    ord("R"): _reduce,
    ord("b"): _build,
}
"""What each allowed instruction does."""
