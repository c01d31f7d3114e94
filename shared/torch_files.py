"""Files of `torch.save` from others: looked over, then read by torch without running code.

torch itself runs nothing of such a file (`weights_only`), but checks no checksum and lets a pickle
fill the memory. Tensors of an archive are mapped, so they end where the file does.
"""

import io
import os
import re
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from orn.shared.config.bounded import open_file, require_utf8
from orn.shared.environment import machine_memory
from orn.shared.errors import CheckpointError, PipelineError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.pickles import ENCODE, RefusedPickleError, check_pickle
from orn.shared.text import path_text

_MOST_PICKLE_BYTES = 4 << 20
"""Of everything in a file but the numbers; a ResNet-50 with its optimiser has 0.1 MiB."""
_MOST_DROPPED_BYTES = 64 << 20
"""The same where some of it is dropped, such as the losses of all steps of a training."""
_MOST_INSTRUCTIONS = 1 << 21
_ENTRY = re.compile(r"[^/]+/(?:data\.pkl|data/\w+|byteorder|version|\.[\w./-]+)")
"""Of an archive, as torch names them; it finds them by name whatever their case."""
_OLD_PICKLES = 5
"""Of a file of torch before 1.6: magic number, version, system, content, names of storages."""
_KINDS = ("BFloat16", "Half", "Float", "Double", "Bool", "Byte", "Char", "Short", "Int", "Long")
_PLAIN = (
    "collections OrderedDict",
    *(f"torch._utils _rebuild_{each}" for each in ("parameter", "tensor", "tensor_v2")),
    *(f"torch {kind}Storage" for kind in _KINDS),
)
"""What a pickle of dense tensors in plain containers names. Torch lets more through, some of which
fills the memory."""


class _Dropped:
    """Stands for what is not wanted of a file; takes whatever its pickle gives it."""

    def __new__(cls, *_: object) -> "_Dropped":
        return super().__new__(cls)

    def __setstate__(self, _: object) -> None:
        """Keep nothing."""


def read_torch_file(
    path: Path,
    *,
    what: str,
    dropped: Collection[str] = (),
    error: type[PipelineError] = CheckpointError,
) -> Any:
    """Return what a file of `torch.save` holds, its tensors on the CPU.

    Args:
        path: of the file.
        what: what it is expected to hold, for messages.
        dropped: what its pickle may name beside plain tensors, as "module name"; something empty is
            read in its place.
        error: what to raise.

    Raises:
        error: in one sentence: it is absent, damaged, larger than the memory, or holds something
            else than tensors, numbers and text in plain containers.
    """
    known: list[Any] = [
        (_Dropped, name.replace("__builtin__", "builtins").replace(" ", ".")) for name in dropped
    ]
    with open_file(path, error=error) as file:
        require_utf8(path, error=error)
        try:
            is_zip = _check(file, dropped)
            with torch.serialization.safe_globals(known):
                return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
        except RefusedPickleError as err:
            raise error(f"{path_text(path)}: expected {what}, got a file that {err}") from err
        except Exception as err:  # of zipfile, pickletools and torch, which document no types
            raise error(
                f"{path_text(path)}: expected {what}, got a damaged file, or one with other things "
                f"than tensors in plain containers ({type(err).__name__})"
            ) from err


def tensors_in(content: Any) -> dict[str, Tensor] | None:
    """Return the tensors of a mapping by their names, with nothing else that the file attached to
    them; None unless each is dense and has no more numbers than its storage."""
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


def write_torch_file(path: Path, content: Any) -> None:
    """Write a file of `torch.save` for others; what was there stays until it is whole."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _check(file: BinaryIO, dropped: Collection[str]) -> bool:
    """Look a file over before torch reads it; whether it is an archive."""
    size = os.fstat(file.fileno()).st_size
    if size > machine_memory():
        raise RefusedPickleError(f"is larger than this machine's memory ({size:,} bytes)")
    names = {*_PLAIN, *dropped, *((ENCODE,) if dropped else ())}
    most = _MOST_DROPPED_BYTES if dropped else _MOST_PICKLE_BYTES
    if file.read(4) != b"PK\3\4":
        file.seek(0)
        begin = io.BytesIO(file.read(most))
        for _ in range(_OLD_PICKLES):
            check_pickle(begin, most=_MOST_INSTRUCTIONS, names=names)
        return False
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if not all(_ENTRY.fullmatch(each.orig_filename) for each in entries):
            raise RefusedPickleError("is an archive of other things than torch writes")
        if any(each.compress_type != zipfile.ZIP_STORED for each in entries):
            raise RefusedPickleError("is a compressed archive, which torch does not write")
        if sum(each.file_size for each in entries) > size:
            raise RefusedPickleError("claims to hold more bytes than it has")
        if archive.testzip() is not None:
            raise RefusedPickleError("is damaged: a checksum is wrong")
        for entry in entries:
            if entry.filename.endswith("data.pkl"):
                if entry.file_size > most:
                    raise RefusedPickleError(f"holds {entry.file_size:,} bytes beside its numbers")
                pickled = io.BytesIO(archive.read(entry))
                check_pickle(pickled, most=_MOST_INSTRUCTIONS, names=names)
    return True
