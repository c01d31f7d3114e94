"""Every reader of files, and what can be wrong with any file: the right value, or an error that
names the file in one line. Nothing else is raised, nothing is waited for, and no memory is filled.
"""

import io
import os
import pickle
import random
import shutil
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orn.shared.errors import PipelineError
from orn.shared.text import path_text
from tests.bounded import bounded
from tests.conformance.readers import READERS, Reader

_SECONDS = 20
"""When a reader that does not end is stopped."""
_FLIPS = 12
READER = {reader.name: reader for reader in READERS}


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", "nothing")
    return file.getvalue()


FOREIGN = {
    "text": b"hello, world\n" * 99,
    "NUL": bytes(1000),
    "JSON": b'{"a": [1, null]}',
    "deep JSON": b"[" * 100_000,
    "deep TOML": b"a = " + b"[" * 100_000,
    "long line": b"x" * (1 << 20),
    "ZIP": _zip(),
    "pickle": pickle.dumps({"a": [1, 2, 3]}),
    "pickle of a terabyte": b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b".",
    "pickle that ends the process": b"cos\n_exit\n(I7\ntR.",
    "far memo": b"\x80\x04]r\xff\xff\xff\x0f.",
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(90),
}
MISSING = {
    "absent": lambda path: None,
    "empty": lambda path: path.touch(),
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path.name),
}


def damaged(path: Path) -> Iterator[tuple[str, str]]:
    """Damages a file in several ways, one after another; yields kind and name of each."""
    content, draw = path.read_bytes(), random.Random(1)
    for part in range(5):
        path.write_bytes(content[: max(part * (len(content) - 1) // 4, 1)])
        yield "cut", f"{part}/4"
    ends = min(100, len(content) // 3)
    for turn in range(_FLIPS):  # as many in the first and last bytes as in all others
        ranges = ((0, ends), (ends, len(content) - ends), (len(content) - ends, len(content)))
        place, bit = draw.randrange(*ranges[turn % 3]), draw.randrange(8)
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        path.write_bytes(flipped)
        yield "flipped", f"bit {bit} of byte {place}"
    for name, other in FOREIGN.items():
        path.write_bytes(other)
        yield "foreign", name
    for name, make in MISSING.items():
        path.unlink() if not path.is_dir() else path.rmdir()
        make(path)
        yield "missing", name
        if not os.path.lexists(path):
            path.touch()


def _stop(*_: object) -> None:
    raise TimeoutError(f"did not end in {_SECONDS} s")


def fault_of(reader: Reader, path: Path, good: Any, *, is_accepted: bool) -> str | None:
    """What is wrong with how a damaged file is read; None if nothing is."""
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        value = reader.read(path)
    except PipelineError as err:
        message = str(err)
        is_one_line = message.isprintable() and len(message) < 10_000
        names = (path.name, path_text(path.parent.name))
        return None if is_one_line and any(name in message for name in names) else message[:300]
    except BaseException as err:
        return f"raised {type(err).__name__}: {str(err)[:300]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None if is_accepted or value == good else f"was read as {str(value)[:200]}"


def faults_of(name: str, folder: Path) -> dict[str, str]:
    """By what was done, what is wrong with how a reader takes it."""
    reader, place = READER[name], folder / "place"
    place.mkdir()
    path = reader.make(place)
    good = reader.read(path)
    shutil.copytree(place, folder / "whole", symlinks=True)
    signal.signal(signal.SIGALRM, _stop)
    faults = {}
    for kind, what in damaged(path):
        is_accepted = bool({kind, what} & {*reader.accepts})
        if fault := fault_of(reader, path, good, is_accepted=is_accepted):
            faults[f"{kind} {what}"] = fault
    return faults


@pytest.mark.parametrize("name", READER)
def test_damage_is_an_error_or_the_right_value(name: str, tmp_path: Path) -> None:
    assert not bounded(faults_of, name, tmp_path)
