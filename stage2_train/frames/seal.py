"""A checksum of what HDF5 reads of a file before its content, behind the end of the HDF5 file.

HDF5's library may crash, or never end, on a file that is damaged there, so the seal is asked first.
It covers everything but the long columns, whose places it lists, and itself: pairs of 64 bits
[start, stop), their number in 64 bits, the CRC-32C in 32, all little-endian, and `orn-clips-v1`.
HDF5 looks at nothing behind its end, and cuts off the seal when it changes the file.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np

from orn.shared.errors import ClipStoreError

_MARK = b"orn-clips-v1"
_COUNT = struct.Struct("<Q")
_END = struct.Struct(f"<I{len(_MARK)}s")
_BLOCK_BYTES = 2**22


def write_seal(path: Path, long_columns: Sequence[tuple[int, int]]) -> None:
    """Seals a finished HDF5 file; `long_columns` are the places [start, stop) of their bytes."""
    places = sorted(place for place in long_columns if place[0] < place[1])
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(np.array(places, "<u8").tobytes() + _COUNT.pack(len(places)))
        checksum = _checksum(file, places, stop=file.tell())
        file.seek(0, os.SEEK_END)
        file.write(_END.pack(checksum, _MARK))


def check_seal(path: Path) -> int:
    """The checksum in the seal of a file, if the file has the seal of what it holds.

    Raises:
        ClipStoreError: if it has none, or they do not match.
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        end = max(file.seek(0, os.SEEK_END) - _END.size, _COUNT.size)
        file.seek(end - _COUNT.size)
        tail = file.read()
        if len(tail) != _COUNT.size + _END.size or not tail.endswith(_MARK):
            raise ClipStoreError(
                f"{path}: has no checksum behind it (another program changed it, it is cut off, or "
                "older than the checksums); write it again with `orn clips --fresh`"
            )
        (number,) = _COUNT.unpack_from(tail)
        wanted, _ = _END.unpack_from(tail, _COUNT.size)
        start = end - _COUNT.size - 16 * number
        found = None
        if start >= 0:
            file.seek(start)
            places = np.frombuffer(file.read(16 * number), "<u8").tolist()
            if places == sorted(places) and (not places or places[-1] <= start):
                pairs = [*zip(places[::2], places[1::2], strict=True)]
                found = _checksum(file, pairs, stop=end)
    if found != wanted:
        raise ClipStoreError(
            f"{path}: is damaged outside its frames (wanted CRC-32C {wanted:08x}, found "
            f"{'a seal of no sense' if found is None else f'{found:08x}'}); "
            "remove it and run `orn clips` again"
        )
    return int(wanted)


def _checksum(file: BinaryIO, places: Sequence[tuple[int, int]], *, stop: int) -> int:
    """CRC-32C of the bytes before `stop` that lie in none of the places."""
    checksum, start = 0, 0
    for hole, after in [*places, (stop, stop)]:
        file.seek(start)
        while start < hole:
            block = file.read(min(hole - start, _BLOCK_BYTES))
            if not block:
                break
            checksum = google_crc32c.extend(checksum, block)
            start += len(block)
        start = after
    return checksum
