"""Files of `torch.save` from others: checked before they are believed, read without running code.

Nothing is read through torch before it is known that the file is a zip archive whose entries are
stored as they are and have the right checksums, or a file of torch before 1.6, and that its pickle
is small and names nothing but plain tensors. Tensors are mapped, so that a storage that claims to
be longer than the file ends where the file does, and none may claim more numbers than it holds.

`save_tensors` seals what it writes: the archive's comment is the SHA-256 of all before it, so that
any bit that flips is noticed. Files without a seal are read, too.
"""

import hashlib
import io
import os
import pickletools
import re
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from orn.shared.config.bounded import open_file, require_utf8, shown
from orn.shared.environment import machine_memory
from orn.shared.errors import CheckpointError, PipelineError
from orn.shared.jobs.atomic_file import replacing

_ZIP = b"PK\3\4"
_END = b"PK\5\6"
_END_BYTES = 22
"""Of the record that ends an archive without a comment; the last two are the comment's length."""
_SEAL = re.compile(rb"orn-sha256:([0-9a-f]{64})")
_SEAL_BYTES = 75
_PROTOCOL = 2
"""Of pickles, as torch.save has it."""
_MOST_PICKLE_BYTES = 4 << 20
"""Of everything in a file but the numbers; a ResNet-50 with its optimiser has 0.1 MiB."""
_MOST_DROPPED_BYTES = 64 << 20
"""The same where some of it is dropped, such as the losses of all steps of a training."""
_ENTRY = re.compile(r"[^/]+/(?:data\.pkl|data/\w+|byteorder|version|\.[\w./-]+)")
"""Of an archive, as torch names them; it finds them by name whatever their case."""
_OLD_PICKLES = 5
"""Of a file of torch before 1.6: magic number, version, system, content, names of storages."""
_PLAIN = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        *(
            f"torch {kind}Storage"
            for kind in (
                *("BFloat16", "Half", "Float", "Double"),
                *("Bool", "Byte", "Char", "Short", "Int", "Long"),
            )
        ),
    }
)
"""What a pickle of dense tensors in plain containers names. Torch lets more through, some of which
fills the memory."""


_ENCODE = "_codecs encode"
"""What makes bytes of text in a pickle of this protocol; other calls of it double bytes."""
_TEXT_ENCODING = "latin1"
_PUTS = ("BINPUT", "LONG_BINPUT")
_GETS = ("BINGET", "LONG_BINGET")


class _Dropped:
    """Stands for what is not wanted of a file; takes whatever its pickle gives it."""

    def __new__(cls, *_: object) -> "_Dropped":
        return super().__new__(cls)

    def __setstate__(self, _: object) -> None:
        """Keeps nothing."""


class _Refused(Exception):
    """Why a file is not read, as a clause."""


def save_tensors(path: Path, content: Any) -> None:
    """Writes tensors in plain containers; what was there stays until the new file is whole.

    Raises:
        PipelineError: if the disk refuses.
    """
    with replacing(path) as temporary, temporary.open("w+b") as file:
        try:
            torch.save(content, file)
        except RuntimeError as err:  # torch's own, whatever the disk said
            if isinstance(err.__context__, OSError):
                raise err.__context__ from err
            raise
        file.seek(-2, os.SEEK_END)
        file.write(_SEAL_BYTES.to_bytes(2, "little"))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0, os.SEEK_END)
        file.write(f"orn-sha256:{digest}".encode())


def read_tensors(
    path: Path,
    *,
    what: str,
    dropped: Collection[str] = (),
    error: type[PipelineError] = CheckpointError,
) -> Any:
    """What a file of `torch.save` holds, its tensors on the CPU and mapped from the file.

    Args:
        path: of the file.
        what: what it is meant to be, for messages.
        dropped: what its pickle may name beside plain tensors, as "module name": none of it is
            imported or called, and something empty is read in its place.
        error: what to raise.

    Raises:
        error: in one sentence: it is absent, damaged, larger than the memory, or holds something
            else than tensors, numbers and text in plain containers.
    """
    with open_file(path, error=error) as file:
        try:
            is_zip = _check(file, dropped)
        except _Refused as err:
            raise error(f"{shown(path)}: wanted {what}, found a file that {err}") from err
        except Exception as err:  # of zipfile and pickletools, which document no types
            raise error(
                f"{shown(path)}: wanted {what}, found a file that is damaged or of another kind"
            ) from err
    require_utf8(path, error=error)
    known: list[Any] = [
        (_Dropped, name.replace("__builtin__", "builtins").replace(" ", ".")) for name in dropped
    ]
    try:
        with torch.serialization.safe_globals(known):
            return torch.load(os.fspath(path), map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as err:  # torch documents no types; its words advise to read without checks
        raise error(
            f"{shown(path)}: wanted {what}, found a file in which something else is saved than "
            f"tensors in plain containers, or that is damaged ({type(err).__name__})"
        ) from err


def tensors_in(content: Any) -> dict[str, Tensor] | None:
    """The tensors of a mapping by their names, with nothing else that the file attached to them;
    None unless it is one, and each tensor is dense and has no more numbers than its storage."""
    if not isinstance(content, dict):
        return None
    found = {}
    for name, value in dict.items(content):
        if type(name) is not str or not isinstance(value, Tensor):
            return None
        tensor = Tensor.detach(value)
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            return None
        found[name] = tensor
    return found


def _check(file: BinaryIO, dropped: Collection[str]) -> bool:
    """Raises what `read_tensors` refuses; whether the file is an archive."""
    names = _PLAIN.union(dropped, (_ENCODE,) if dropped else ())
    most = _MOST_DROPPED_BYTES if dropped else _MOST_PICKLE_BYTES
    size = os.fstat(file.fileno()).st_size
    if size > machine_memory():
        raise _Refused(f"is larger than this machine's memory ({size:,} bytes)")
    if file.read(len(_ZIP)) != _ZIP:
        file.seek(0)
        begin = io.BytesIO(file.read(most))
        for _ in range(_OLD_PICKLES):
            _check_pickle(begin, names)
        return False
    sealed = _check_seal(file, size)
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if any(not _ENTRY.fullmatch(each.orig_filename) for each in entries):
            raise _Refused("is an archive of other things than torch writes")
        if any(each.compress_type != zipfile.ZIP_STORED for each in entries):
            raise _Refused("is a compressed archive, which torch does not write")
        if sum(each.file_size for each in entries) > size:
            raise _Refused("claims to hold more bytes than it has")
        if not sealed and archive.testzip() is not None:
            raise _Refused("is damaged: a checksum is wrong")
        for entry in entries:
            inner = entry.filename.partition("/")[2]
            if inner == "byteorder" and archive.read(entry) != sys.byteorder.encode():
                raise _Refused("was written by a machine of another byte order")
            if inner == "data.pkl":
                if entry.file_size > most:
                    raise _Refused(f"holds {entry.file_size:,} bytes beside its numbers")
                _check_pickle(io.BytesIO(archive.read(entry)), names)
    return True


def _check_seal(file: BinaryIO, size: int) -> bool:
    """Whether an archive is sealed, and then rightly; one that is not ends without a comment."""
    file.seek(-min(size, _END_BYTES + _SEAL_BYTES), os.SEEK_END)
    end = file.read()
    file.seek(0)
    if seal := _SEAL.fullmatch(end[-_SEAL_BYTES:]):
        digest = hashlib.sha256()
        left = size - _SEAL_BYTES
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            digest.update(block)
            left -= len(block)
        if digest.hexdigest().encode() != seal[1]:
            raise _Refused("is damaged: its bytes do not have the SHA-256 at its end")
        file.seek(0)
        return True
    if end[-_END_BYTES:][:4] != _END or end[-2:] != b"\0\0":
        raise _Refused("is damaged or cut off: the archive in it has no proper end")
    return False


def _check_pickle(content: io.BytesIO, names: Collection[str]) -> None:
    """Raises unless a pickle names only what is harmless; reads up to its end."""
    encodes = _Encodes()
    for number, (operation, value, _) in enumerate(pickletools.genops(content)):
        if number > _MOST_PICKLE_BYTES:
            raise _Refused(f"holds more than {_MOST_PICKLE_BYTES:,} things beside its numbers")
        if operation.name == "GLOBAL" and value not in names:
            name = shown(str(value).replace(" ", "."))
            raise _Refused(f"names {name}, which weights do not need; it was not run")
        if operation.name == "PROTO" and value != _PROTOCOL:
            raise _Refused(f"is a pickle of protocol {value}; wanted one of torch.save")
        encodes.follow(operation.name, value)


class _Encodes:
    """Follows a pickle: text becomes bytes only as pickles of bytes have it, each text once.

    That is the function, the text, which is written there, its encoding, and the call.
    """

    def __init__(self) -> None:
        self._memo: dict[Any, str] = {}
        self._pushed = ""
        self._wanted: tuple[str, ...] = ()

    def follow(self, name: str, value: Any) -> None:
        """Raises for an operation that has no place there."""
        if name in _PUTS:
            self._memo[value] = self._pushed
            return
        if name in _GETS:
            self._pushed = self._memo.get(value, "")
        elif name == "BINUNICODE":
            # Python keeps one of each text of one character, which is then taken from the memo.
            short = "character" if len(value) < 2 else "long text"
            self._pushed = _TEXT_ENCODING if value == _TEXT_ENCODING else short
        else:
            self._pushed = _ENCODE if name == "GLOBAL" and value == _ENCODE else ""
        if self._wanted:
            is_text = name == "BINUNICODE" or self._pushed == "character"
            found = {"text": is_text, _TEXT_ENCODING: self._pushed == _TEXT_ENCODING}
            if not found.get(self._wanted[0], self._wanted[0] == name):
                raise _Refused("makes bytes of text otherwise than pickles of bytes do")
            self._wanted = self._wanted[1:]
        elif self._pushed == _ENCODE:
            self._wanted = ("text", _TEXT_ENCODING, "TUPLE2", "REDUCE")
