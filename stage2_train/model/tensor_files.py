"""Tensor files: safetensors with a digest to detect corruption.

safetensors validates names, types, shapes and offsets, but has no checksum for values. The metadata
entry `digest` is the SHA-256 of the other metadata and of the name, type, shape and bytes of each
tensor, in the order of names.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from orn.shared.data_files import open_file, require_utf8
from orn.shared.environment import machine_memory
from orn.shared.errors import CheckpointError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.text import path_text

Part = TypeVar("Part")
_DIGEST = "digest"
_MOST_HEADER_BYTES = 4 << 20
"""Size limit of names, shapes and metadata; a ResNet-50 with its optimizer has 0.2 MiB."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write named tensors atomically; equal tensors and metadata give equal files.

    Args:
        path: the file.
        tensors: dense tensors on any device, with any strides; stored as contiguous tensors.
        metadata: texts to store with them, without `digest`.

    Raises:
        PipelineError: if the file cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    texts = {**metadata, _DIGEST: tensors_digest(plain, metadata)}
    with replacing(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            safetensors.torch.save_file(plain, temporary, metadata=texts)
            _sort_metadata(temporary)
        except SafetensorError as err:  # wraps disk errors
            raise OSError(str(err)) from err
        temporary.chmod(mode)  # safetensors removes read permissions for other users


def _sort_metadata(path: Path) -> None:
    """Sort the metadata in a file, which safetensors writes in random order."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        assert len(text) <= size
        file.seek(8)
        file.write(text.ljust(size))


def read_tensors(path: Path, *, what: str, remedy: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the memory-mapped tensors and the metadata of a file from `write_tensors`.

    Args:
        path: the file.
        what: description of the expected content, for messages.
        remedy: advice to the user about a damaged file, for messages.

    Raises:
        CheckpointError: if the file is missing, damaged or of a different kind.
    """
    tensors, metadata = read_safetensors(path, what=what, remedy=remedy)
    if metadata.pop(_DIGEST, None) != tensors_digest(tensors, metadata):
        raise _damaged(path, what, remedy)
    return tensors, metadata


def read_part(
    path: Path,
    *,
    what: str,
    config: str,
    build: Callable[[Mapping[str, Tensor], Mapping[str, str]], Part],
) -> Part | None:
    """Return the part of a model that is stored beside its weights; None without its file.

    Args:
        path: the file, whose metadata has the digest `config`.
        what: name of the part, for messages.
        config: digest of the run's configuration.
        build: returns the part of tensors and metadata; raises ValueError, KeyError, TypeError or
            RuntimeError if they are not of this run.

    Raises:
        CheckpointError: if the file is damaged, or belongs to another run.
    """
    if not path.exists():
        return None
    remedy = "restore the files of the run, or train it again"
    tensors, metadata = read_tensors(path, what=f"{what} of a run", remedy=remedy)
    try:
        if metadata["config"] != config:
            raise ValueError("a different configuration")
        return build(tensors, metadata)
    except (ValueError, KeyError, TypeError, RuntimeError) as err:
        raise CheckpointError(
            f"{path_text(path)}: expected {what} of this run, got a different file; {remedy}"
        ) from err


def read_safetensors(
    path: Path, *, what: str, remedy: str
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the memory-mapped tensors and the metadata of any safetensors file, which may lack a
    digest; for arguments and errors, see `read_tensors`."""
    with open_file(path, error=CheckpointError) as file:
        size, header = os.fstat(file.fileno()).st_size, int.from_bytes(file.read(8), "little")
    require_utf8(path, error=CheckpointError)
    if header > _MOST_HEADER_BYTES or size > machine_memory():
        raise _damaged(path, what, remedy)
    try:
        with safe_open(path, "pt", device="cpu") as content:
            metadata = content.metadata() or {}
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError, MemoryError) as err:
        raise _damaged(path, what, remedy) from err
    return tensors, metadata


def _damaged(path: Path, what: str, remedy: str) -> CheckpointError:
    return CheckpointError(
        f"{path_text(path)}: expected {what}, got a damaged or different file; {remedy}"
    )


def tensors_digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 of contiguous CPU tensors and of metadata, without copies."""
    sha256 = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        sha256.update(json.dumps([name, str(tensor.dtype), tensor.shape]).encode())
        sha256.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha256.hexdigest()
