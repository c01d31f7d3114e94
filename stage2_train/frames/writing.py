"""Writes the HDF5 file of a clip store or of a part: whole, with its checksums, or not at all."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import google_crc32c
import h5py
import numpy as np

from orn.shared.jobs.atomic_file import replacing
from orn.stage2_train.frames.datasets import pieces
from orn.stage2_train.frames.schema import (
    COLUMNS,
    FORMAT_NAME,
    FORMAT_VERSION,
    FailedClip,
    StoreSettings,
    column_checksum,
)
from orn.stage2_train.frames.seal import write_seal

BUFFER_BYTES = 8 * 2**20
"""JPEG bytes held in memory before they go to the file: bounds memory for videos of any length."""


@contextmanager
def writing(
    path: Path,
    settings: StoreSettings,
    failed: Sequence[FailedClip] = (),
    *,
    follows: int | None = None,
) -> Iterator[h5py.File]:
    """A new file with its attributes and the videos that failed, to write columns to; it is sealed
    and takes the place of `path` when the block ends normally. `follows` is the checksum in the
    seal of the file that it is added to.

    Raises:
        PipelineError: if the disk refuses.
    """
    with replacing(path) as temporary:
        with h5py.File(temporary, "w") as file:
            _write_head(file, settings, failed)
            if follows is not None:
                file.attrs["follows"] = follows
            yield file
            file.flush()
            long_columns = [
                (start, start + size)
                for name in file
                if not COLUMNS[name].is_small
                for start, size in pieces(file[name].id)
            ]
        write_seal(temporary, long_columns)


def create_column(file: h5py.File, name: str, length: int) -> h5py.Dataset:
    """A column of numbers to fill in."""
    return file.create_dataset(name, shape=(length,), dtype=np.dtype(COLUMNS[name].dtype))


def write_columns(file: h5py.File, columns: Mapping[str, Sequence[Any]]) -> None:
    """Writes whole columns, small ones with their checksums."""
    for name, values in columns.items():
        dtype = COLUMNS[name].dtype
        if dtype is None:
            file.create_dataset(name, data=values, dtype=h5py.string_dtype())
        else:
            file.create_dataset(name, data=np.asarray(values, dtype))
        if COLUMNS[name].is_small:
            file[name].attrs["crc32c"] = np.uint32(column_checksum(name, values))


def write_pictures(
    files: Iterable[bytes], put: Callable[[bytearray], None]
) -> tuple[int, list[int], list[int]]:
    """Puts JPEG files behind each other; CRC-32 of all their bytes, and CRC-32C and length of each.

    Args:
        put: takes bytes in the order of the file; the last ones are fewer than `BUFFER_BYTES`.
    """
    checksum, buffer = 0, bytearray()
    crc32c_F, sizes_F = [], []
    for data in files:
        checksum = zlib.crc32(data, checksum)
        crc32c_F.append(google_crc32c.value(data))
        sizes_F.append(len(data))
        buffer += data
        if len(buffer) >= BUFFER_BYTES:
            put(buffer)
            buffer = bytearray()
    put(buffer)
    return checksum, crc32c_F, sizes_F


def _write_head(file: h5py.File, settings: StoreSettings, failed: Sequence[FailedClip]) -> None:
    file.attrs["format"] = FORMAT_NAME
    file.attrs["format_version"] = FORMAT_VERSION
    if settings.short_side is None:
        file.attrs["resize"] = "squash"
        file.attrs["height"] = settings.height
        file.attrs["width"] = settings.width
    else:
        file.attrs["resize"] = "short-side"
        file.attrs["short_side"] = settings.short_side
    file.attrs["jpeg_quality"] = settings.jpeg_quality
    file.attrs["rate"] = settings.rate or 0.0
    rows = {"failed_id": [row.id for row in failed], "failed_reason": [r.reason for r in failed]}
    write_columns(file, rows)
