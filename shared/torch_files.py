"""Read untrusted `torch.save` files, which are checked first and run no code.

With `weights_only`, torch runs no code from such files, but it verifies no checksum, and a pickle
can exhaust memory. Tensors of an archive are memory-mapped, so they cannot be larger than the file.
"""

import io
import os
import re
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from orn.shared.data_files import open_file, require_utf8
from orn.shared.environment import machine_memory
from orn.shared.errors import CheckpointError, PipelineError
from orn.shared.pickles import ENCODE, RefusedPickleError, StandIn, check_pickle
from orn.shared.text import counted, path_text

_MOST_PICKLE_BYTES = 4 << 20
"""Size limit of the pickle, excluding values; a ResNet-50 with its optimizer has 0.1 MiB."""
_MOST_DROPPED_BYTES = 64 << 20
"""The same limit for files with ignored content, such as the losses of all training steps."""
_MOST_INSTRUCTIONS = 1 << 21
_ENTRY = re.compile(r"[^/]+/(?:data\.pkl|data/\w+|byteorder|version|\.[\w./-]+)")
"""Names of members in torch's archives, which are case-insensitive."""
_OLD_PICKLES = 5
"""Number of pickles before torch 1.6: magic number, version, system, content, storage names."""
_KINDS = ("BFloat16", "Half", "Float", "Double", "Bool", "Byte", "Char", "Short", "Int", "Long")
_PLAIN = (
    "collections OrderedDict",
    *(f"torch._utils _rebuild_{kind}" for kind in ("parameter", "tensor", "tensor_v2")),
    *(f"torch {kind}Storage" for kind in _KINDS),
)
"""Globals in a pickle of dense tensors in plain containers. Torch allows others, some of which can
exhaust memory."""


def read_torch_file(
    path: Path,
    *,
    what: str,
    dropped: Collection[str] = (),
    error: type[PipelineError] = CheckpointError,
) -> Any:
    """Return the content of a `torch.save` file, with tensors on the CPU.

    Args:
        path: the file.
        what: description of the expected content, for messages.
        dropped: further allowed globals, as "module name", whose objects are ignored.
        error: type of the error.

    Raises:
        error: if the file is missing, damaged, larger than memory, or contains anything but
            tensors, numbers and text in plain containers.
    """
    known: list[Any] = [
        (StandIn, name.replace("__builtin__", "builtins").replace(" ", ".")) for name in dropped
    ]
    with open_file(path, error=error) as file:
        require_utf8(path, error=error)
        try:
            is_zip = _check(file, dropped)
            with torch.serialization.safe_globals(known):
                return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
        except RefusedPickleError as err:
            raise error(f"{path_text(path)}: expected {what}, got a file that {err}") from err
        except Exception as err:  # zipfile, pickletools and torch raise undocumented types
            raise error(
                f"{path_text(path)}: expected {what}, got a damaged file or one with content other "
                f"than tensors in plain containers ({type(err).__name__}); download it again"
            ) from err


def tensors_in(content: Any) -> dict[str, Tensor] | None:
    """Return the tensors of a mapping by name, without attributes from the file; None unless all of
    them are dense and within their storage."""
    if not isinstance(content, dict):
        return None
    tensors = {}
    for name, value in dict.items(content):
        if type(name) is not str or not isinstance(value, Tensor):
            return None
        tensor = Tensor.detach(value)
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            return None
        tensors[name] = tensor
    return tensors


def mismatch(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    """Return the first difference in names, shapes or types from the expected tensors, or a value
    that is not finite, as a clause; None if there is no mismatch."""
    missing = [name for name in expected if name not in tensors]
    extra = [name for name in tensors if name not in expected]
    if missing:
        return f"{counted(len(missing), 'weight is', 'weights are')} missing, first {missing[0]}"
    if extra:
        unexpected = counted(len(extra), "weight is", "weights are")
        return f"{unexpected} unexpected, first {path_text(extra[0])}"
    for name, tensor in expected.items():
        for kind in ("shape", "dtype"):
            here, there = (getattr(one, kind) for one in (tensor, tensors[name]))
            if here != there:
                return f"{name}: expected {kind} {_plain(here)}, got {_plain(there)}"
        if not tensors[name].isfinite().all():
            return f"{name}: expected finite numbers, got NaN or infinity"
    return None


def _plain(value: torch.Size | torch.dtype) -> str:
    return str(tuple(value) if isinstance(value, torch.Size) else value).removeprefix("torch.")


def _check(file: BinaryIO, dropped: Collection[str]) -> bool:
    """Check a file before torch reads it, and return whether it is an archive."""
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
        if not all(_ENTRY.fullmatch(entry.orig_filename) for entry in entries):
            raise RefusedPickleError("is not an archive written by torch")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise RefusedPickleError("is a compressed archive, which torch does not write")
        if sum(entry.file_size for entry in entries) > size:
            raise RefusedPickleError("declares more bytes than it has")
        if archive.testzip() is not None:
            raise RefusedPickleError("is damaged: a checksum does not match")
        for entry in entries:
            if entry.filename.endswith("data.pkl"):
                if entry.file_size > most:
                    raise RefusedPickleError(f"contains a pickle of {entry.file_size:,} bytes")
                pickled = io.BytesIO(archive.read(entry))
                check_pickle(pickled, most=_MOST_INSTRUCTIONS, names=names)
    return True
