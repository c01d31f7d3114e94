"""What can be wrong with any file: bytes, what lies at its path, the names above it, and values."""

import csv
import io
import json
import math
import os
import pickle
import random
import shutil
import socket
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

Cases = Iterator[tuple[str, Path]]
"""What was done, and where the file lies now; it is read after each step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One kind of damage."""

    name: str
    apply: Callable[[Path], Cases]
    """Damages a file in several ways, one after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Nested values in a file."""

    get: Callable[[Path], Any]
    put: Callable[[Path, Any], None]
    """Writes others in their place; an error says that the format cannot hold them."""


# Bytes -----------------------------------------------------------------------------------------


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", "nothing")
    return file.getvalue()


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "PNG")
    return file.getvalue()


OTHERS = {
    "text": b"hello, world\n" * 99,
    "UTF-16": "a = 1\n".encode("utf-16"),
    "NUL": bytes(1000),
    "JSON": b'{"a": [1, null]}',
    "deep JSON": b"[" * 100_000,
    "deep tables": b'{"a":' * 100_000,
    "long number": b"9" * 100_000,
    "long line": b"x" * (1 << 20),
    "many lines": b"\n" * (1 << 15),
    "commas": b"," * (1 << 19),
    "deep key": b"a" + b".a" * 100_000 + b" = 1",
    "deep TOML": b"a = " + b"[" * 100_000,
    "ZIP": _zip(),
    "PNG": _picture(),
    "pickle": pickle.dumps({"a": [1, 2, 3]}),
    "pickle of a terabyte": b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b".",
    "far memo": b"\x80\x04]r\xff\xff\xff\x0f.",
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(90),
}


def _change(*changes: tuple[str, Callable[[bytes], bytes]]) -> Callable[[Path], Cases]:
    def apply(path: Path) -> Cases:
        content = path.read_bytes()
        for name, change in changes:
            path.write_bytes(change(content))
            yield name, path

    return apply


def _flip(number: int, seed: int) -> Callable[[Path], Cases]:
    """Single bits, as many in the first and last hundred bytes as in all others."""

    def apply(path: Path) -> Cases:
        content, draw = path.read_bytes(), random.Random(seed)
        ends = min(100, len(content) // 3)
        for turn in range(number):
            ranges = ((0, ends), (ends, len(content) - ends), (len(content) - ends, len(content)))
            place, bit = draw.randrange(*ranges[turn % 3]), draw.randrange(8)
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            yield f"bit {bit} of byte {place}", path

    return apply


def _cut(number: int) -> Callable[[Path], Cases]:
    """To each of so many lengths."""

    def apply(path: Path) -> Cases:
        content = path.read_bytes()
        lengths = {1, len(content) - 1, *(len(content) * part // number for part in range(number))}
        for length in sorted(lengths - {0}):
            path.write_bytes(content[:length])
            yield f"to {length} bytes", path

    return apply


def _sparse(path: Path) -> Cases:
    for size in (10 << 30, 1 << 40):
        os.truncate(path, size)
        yield f"to {size} bytes", path
        path.write_bytes(b"")


# What lies there -------------------------------------------------------------------------------


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(f"/proc/self/fd/{os.open(path.parent, os.O_RDONLY)}/{path.name}")


def _replace(make: Callable[[Path], Any]) -> Callable[[Path], Cases]:
    def apply(path: Path) -> Cases:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        make(path)
        yield "", path

    return apply


# Names -----------------------------------------------------------------------------------------

ODD_NAMES = (b"caf\xe9", b"\x1b[31mred\r\nb", "\u202eevil\u2028".encode(), b"-x '$(a)")


def _odd_folder(path: Path) -> Cases:
    """The whole file and an empty one in a folder whose name is no text, or more than text."""
    for name in ODD_NAMES:
        folder = path.parent.with_name(os.fsdecode(name))
        shutil.copytree(path.parent, folder)
        yield f"{name!r}, whole", folder / path.name
        (folder / path.name).write_bytes(b"")
        yield f"{name!r}, empty", folder / path.name
        shutil.rmtree(folder)


def any_damage(*, seed: int = 0, flips: int = 12, cuts: int = 4) -> tuple[Damage, ...]:
    """Every kind of damage to a file; more of random ones where more are asked for."""
    kinds: dict[str, Callable[[Path], Cases]] = {
        "empty": _change(("", lambda _: b"")),
        "cut": _cut(cuts),
        "flipped": _flip(flips, seed),
        "longer": _change(
            *(
                (name, lambda old, more=more: old + more)
                for name, more in (
                    ("NUL", bytes(9)),
                    ("text", b"\nhello"),
                    ("0xff", b"\xff" * 5000),
                )
            )
        ),
        "twice": _change(("", lambda old: old + old)),
        "NUL": _change(("", lambda old: bytes(len(old)))),
        "other": _change(*((name, lambda _, to=to: to) for name, to in OTHERS.items())),
        "sparse": _sparse,
        "absent": _replace(lambda path: None),
        "pipe": _replace(os.mkfifo),
        "socket": _replace(_socket),
        "folder": _replace(os.mkdir),
        "device": _replace(lambda path: path.symlink_to("/dev/zero")),
        "loop": _replace(lambda path: path.symlink_to(path.name)),
        "dangling": _replace(lambda path: path.symlink_to("nowhere")),
        "odd folder": _odd_folder,
    }
    return tuple(Damage(name=name, apply=apply) for name, apply in kinds.items())


# Values ----------------------------------------------------------------------------------------

DEEP = "<deep>"
"""Where a document has lists in lists, 10,000 of them."""
_DEEP_LIST = "[" * 10_000 + "]" * 10_000
VALUES: dict[str, Any] = {
    "null": None,
    "NaN": math.nan,
    "infinite": math.inf,
    "negative": -1,
    "2**40": 2**40,
    "2**63": 2**63,
    "1e300": 1e300,
    "no text": "",
    "half a character": "\ud800",
    "control": "a\0\x1b[31m\nb",
    "deep": DEEP,
    "list": [[3]],
    "table": {"x": {}},
    "text": "3",
    "true": True,
}
"""What takes the place of each value of a document."""


def _inline(value: Any) -> str:
    """A value as TOML has it."""
    if value is None:
        raise ValueError("TOML has no null")
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {_inline(each)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "1e400"
    return json.dumps(value)


def _toml(tree: dict[str, Any]) -> str:
    if not isinstance(tree, dict):
        raise ValueError("TOML is a table")
    return "".join(f"{json.dumps(key)} = {_inline(value)}\n" for key, value in tree.items())


def _text_document(loads: Callable[[str], Any], dumps: Callable[[Any], str]) -> Document:
    def put(path: Path, tree: Any) -> None:
        path.write_text(dumps(tree).replace(f'"{DEEP}"', _DEEP_LIST))

    return Document(get=lambda path: loads(path.read_text()), put=put)


def json_text(tree: Any) -> str:
    """JSON with what Python's has beyond the standard, and lists of 10,000 levels."""
    return json.dumps(tree).replace("Infinity", "1e400").replace(f'"{DEEP}"', _DEEP_LIST)


def _cell(value: Any) -> str:
    """A value as a table has it."""
    if value is None:
        raise ValueError("a table has no null")
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "1e400"
    return value if isinstance(value, str) else json.dumps(value)


def _csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([map(_cell, row if isinstance(row, list) else [row]) for row in rows])
    return text.getvalue()


JSON = _text_document(json.loads, json_text)
CSV = _text_document(lambda text: list(csv.reader(text.splitlines())), _csv)
TOML = _text_document(tomllib.loads, _toml)


def _places(tree: Any, most: int = 2) -> Iterator[tuple[Any, ...]]:
    """Keys of every value, however deep; of the first ones of a list."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree[:most])
    for key, value in inner:
        yield (key,)
        if isinstance(value, dict | list):
            yield from ((key, *rest) for rest in _places(value))


def _with(tree: Any, place: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy of the tree after a change of the container of a place."""
    copied = dict(tree) if isinstance(tree, dict) else list(tree)
    if len(place) == 1:
        change(copied, place[0])
    else:
        copied[place[0]] = _with(copied[place[0]], place[1:], change)
    return copied


def edits(document: Document, *, most: int | None, seed: int = 0) -> tuple[Damage, ...]:
    """Every value of a document replaced by each of `VALUES`, or left out, or with another beside
    it; of each kind so many at random places."""

    def put(key: Any, value: Any) -> Callable[[Any, Any], None]:
        return lambda container, last: container.__setitem__(key if key else last, value)

    def remove(container: Any, key: Any) -> None:
        del container[key]

    def edit(
        change: Callable[[Any, Any], None], *, tables: bool = False
    ) -> Callable[[Path], Cases]:
        def apply(path: Path) -> Cases:
            tree = document.get(path)
            places = list(_places(tree))
            if tables:
                places = [each for each in places if isinstance(each[-1], str)]
            if most is not None and len(places) > most:
                places = random.Random(seed).sample(places, most)
            for place in places:
                changed = _with(tree, place, change)
                if repr(changed) == repr(tree):
                    continue
                try:
                    document.put(path, changed)
                except (ValueError, TypeError):  # the format cannot hold it
                    continue
                yield ".".join(map(str, place)), path

        return apply

    kinds = {name: edit(put(None, value)) for name, value in VALUES.items()}
    kinds["missing"] = edit(remove, tables=True)
    kinds["unknown"] = edit(put("unknown", 1), tables=True)
    return tuple(Damage(name=f"value {name}", apply=apply) for name, apply in kinds.items())
