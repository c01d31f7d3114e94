"""Reads one file of a clip store, which may come from others.

HDF5 tells what is in it, once: what the format does not have is refused by HDF5's description,
before anything of it is read. Times and pictures are then read without HDF5, from where they lie. A
file is known by its size and time of change.
"""

import json
import math
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from cachetools import LRUCache, cached
from h5py import h5a, h5d, h5f, h5l, h5o, h5p, h5s, h5t, h5z
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from orn.shared.config.fields import explain
from orn.shared.data_files import Stamp, kind_of, stamp_of
from orn.shared.errors import ClipStoreError
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.stage2_train.frames.jpeg import most_bytes
from orn.stage2_train.frames.schema import (
    CONTIGUOUS,
    FORMAT_NAME,
    FORMAT_VERSION,
    TABLES,
    TEXT,
    ClipFileRecord,
    FailedClip,
    StoredVideo,
    StoreSettings,
    row_type,
)

_MOST_OPEN = 64
"""Files that stay open in a process."""
_ROWS_BYTES = 2**25
"""Of places and times of frames that stay in memory, in each process."""
_ROW_BYTES = 500
"""What those of a video count for beside themselves."""
_MOST_CHUNK_BYTES = 2**20
_MOST_TABLE_BYTES = 2**28
_MOST_ATTRIBUTE_BYTES = 64
_HEAD = b"\x89HDF\r\n\x1a\n\x03"
"""An HDF5 file whose metadata have checksums."""
_REMEDY = "remove the file and run `orn clips` to store its videos again"
_ERRORS = (OSError, LookupError, RuntimeError, TypeError, ValueError, MemoryError)
"""What h5py raises for a file that is damaged; text that is not UTF-8 is a ValueError."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipFile:
    """Where the pictures and times of a file lie."""

    path: Path
    stamp: Stamp
    """Size and time of change when it was looked at."""
    jpeg_place: int
    """First byte of the dataset `jpeg`."""
    frames_place: int
    """First byte of the dataset `frames`."""

    def rows(self, video: StoredVideo) -> NDArray[Any]:
        """Return the (F,) rows of `frames` of a video.

        Raises:
            ClipStoreError: if they are damaged.
        """
        try:
            return _rows(self, video)
        except _ERRORS as err:
            raise self.damage(video, "its times are", err) from err

    def jpeg_files(self, video: StoredVideo, frames: Iterable[int]) -> Iterator[bytes]:
        """Yield frames of a video as they are stored, in the order asked for.

        Raises:
            ClipStoreError: if one is damaged.
        """
        rows_F, most = self.rows(video), most_bytes(video.height, video.width)
        first = self.jpeg_place + video.first_byte
        for frame in frames:
            _, _, start, size, crc32 = rows_F[frame].item()
            try:
                if size > most:
                    raise ValueError(f"expected at most {most} bytes, got {size}")
                yield _open(self.path, self.stamp).read(first + start, size, crc32)
            except _ERRORS as err:
                raise self.damage(video, f"frame {frame} is", err) from err

    def damage(self, video: StoredVideo, what: str, err: Exception) -> ClipStoreError:
        """Return the error for a part of a video that is damaged."""
        if isinstance(err, ClipStoreError):
            return err
        return ClipStoreError(
            f"{self.path}: video {video.id}: {what} damaged ({_said(err)}); {_REMEDY}"
        )


class _OpenFile:
    """A file that stays open until nobody has it any more; may be read by several threads and,
    forked, by several processes."""

    def __init__(self, path: Path, stamp: Stamp) -> None:
        self._number = -1
        self._number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # no pipe is waited for
        if stamp_of(os.fstat(self._number)) != stamp:
            raise FileNotFoundError

    def read(self, place: int, size: int, crc32: int) -> bytes:
        """Return so many bytes from a place on, of this CRC-32."""
        data = os.pread(self._number, size, place)
        if len(data) != size or zlib.crc32(data) != crc32:
            raise ValueError(f"expected {size} bytes of CRC-32 {crc32:08x}, got others")
        return data

    def __del__(self) -> None:
        if self._number >= 0:
            os.close(self._number)


def gone(path: Path) -> ClipStoreError:
    """Return the error for a file that is not the one that it was."""
    return ClipStoreError(
        f"{path}: has changed or gone since the clip store was opened; start again"
    )


@cached(LRUCache(_MOST_OPEN), lock=RLock())
def _open(path: Path, stamp: Stamp) -> _OpenFile:
    try:
        return _OpenFile(path, stamp)
    except FileNotFoundError as err:
        raise gone(path) from err


@cached(
    LRUCache(_ROWS_BYTES, getsizeof=lambda rows_F: rows_F.nbytes + _ROW_BYTES),
    key=lambda file, video: (file.path, file.stamp, video.first_frame, video.num_frames),
    lock=RLock(),
)
def _rows(file: ClipFile, video: StoredVideo) -> NDArray[Any]:
    dtype = row_type("frames")
    size, place = (
        video.num_frames * dtype.itemsize,
        file.frames_place + video.first_frame * dtype.itemsize,
    )
    if size > file.stamp[0]:
        raise ValueError(f"expected at most {file.stamp[0]} bytes, got {size}")
    data = _open(file.path, file.stamp).read(place, size, video.crc32)
    return np.frombuffer(data, dtype)


def read_record(path: Path) -> ClipFileRecord:
    """Return what a file holds.

    Raises:
        ClipStoreError: if it is damaged, or of another format.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"expected a file, got {kind_of(status.st_mode)}")
        with path.open("rb") as raw:
            if raw.read(len(_HEAD)) != _HEAD:
                raise OSError("its first bytes are not those of such a file")
        access = h5p.create(h5p.FILE_ACCESS)
        access.set_file_locking(False, True)
        file = h5f.open(os.fsencode(path), h5f.ACC_RDONLY, fapl=access)
        settings = _settings(file)
        found = {name: _dataset(file, name, size=status.st_size) for name in (*CONTIGUOUS, *TABLES)}
        tables = {name: _table(found[name]) for name in TABLES if name not in CONTIGUOUS}
        times: dict[int, list[TimeRange]] = {}
        for row, *ends in tables["ranges"].tolist():
            start, stop = (end if math.isfinite(end) else None for end in ends)
            times.setdefault(row, []).append(TimeRange(start, stop))
        return ClipFileRecord(
            settings=settings,
            jpeg_place=found["jpeg"].get_offset() or 0,
            frames_place=found["frames"].get_offset() or 0,
            videos=tuple(
                StoredVideo(times=TimeRanges.of(times.get(row, ())), **values)
                for row, values in enumerate(_values(tables["videos"]))
            ),
            failed=tuple(FailedClip(**values) for values in _values(tables["failed"])),
        )
    except ClipStoreError as err:
        raise ClipStoreError(f"{path}: {err}") from err
    except _ERRORS as err:
        raise ClipStoreError(
            f"{path}: cannot be read as a file of a clip store ({_said(err)}); {_REMEDY}"
        ) from err


def _said(err: Exception) -> str:
    return (str(err) or type(err).__name__).splitlines()[0]


def _settings(file: h5f.FileID) -> StoreSettings:
    kind, version = (_attribute(file, name) for name in ("format", "format_version"))
    if (kind, version) != (FORMAT_NAME.encode(), FORMAT_VERSION):
        raise ClipStoreError(
            f"expected {FORMAT_NAME} version {FORMAT_VERSION}, got {kind!r} version {version!r}; "
            "store it again with `orn clips --fresh`"
        )
    found = {each.name: _attribute(file, each.name) for each in fields(StoreSettings)}
    told = {name: value for name, value in found.items() if value is not None}
    # As JSON, since pydantic's strict mode takes a table for a record from JSON alone.
    try:
        return TypeAdapter(StoreSettings).validate_json(json.dumps(told))
    except ValidationError as err:
        raise OSError(f"attributes: {explain(err, StoreSettings)}") from err


def _dataset(file: h5f.FileID, name: str, *, size: int) -> h5d.DatasetID:
    """A dataset in this file, of the type of the format, and no larger than the file."""
    if file.links.get_info(name.encode()).type != h5l.TYPE_HARD:
        raise OSError(f"{name}: expected a dataset, got a link")
    dataset = h5o.open(file, name.encode())
    if not isinstance(dataset, h5d.DatasetID):
        raise OSError(f"{name}: expected a dataset, got something else")
    plan, kind, shape = dataset.get_create_plist(), dataset.get_type(), dataset.shape
    dtype: np.dtype[Any] = np.dtype("u1")
    if name != "jpeg":
        texts = [column for column, column_kind in TABLES[name] if column_kind == TEXT]
        dtype = row_type(name, {each: dataset.dtype[each].itemsize for each in texts})
    if kind.committed() or not kind.equal(h5t.py_create(dtype)) or len(shape) != 1:
        raise OSError(f"{name}: expected rows of another type")
    filters = [plan.get_filter(place)[0] for place in range(plan.get_nfilters())]
    num_bytes, stored = shape[0] * dtype.itemsize, dataset.get_storage_size()
    if name in CONTIGUOUS:
        is_usual = plan.get_layout() == h5d.CONTIGUOUS and not filters
        is_usual = is_usual and not plan.get_external_count()
        end = (dataset.get_offset() or 0) + stored
    else:
        is_usual = plan.get_layout() == h5d.CHUNKED and filters == [h5z.FILTER_FLETCHER32]
        is_usual = is_usual and plan.get_chunk()[0] * dtype.itemsize <= _MOST_CHUNK_BYTES
        end = stored if num_bytes <= _MOST_TABLE_BYTES else size + 1
    if not is_usual:
        raise OSError(f"{name}: expected data that is stored as the format says")
    if num_bytes > stored or end > size:
        raise OSError(f"{name}: expected at most {size} bytes, got {num_bytes}")
    return dataset


def _table(dataset: h5d.DatasetID) -> NDArray[Any]:
    rows = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5s.ALL, h5s.ALL, rows, dataset.get_type())
    return rows


def _values(table: NDArray[Any]) -> Iterator[dict[str, Any]]:
    """The rows of a table as fields of a record."""
    for row in table.tolist():
        values = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in zip(table.dtype.names or (), row, strict=True)
        }
        values["source"] = values.pop("source_bytes"), values.pop("source_mtime_ns")
        yield values


def _attribute(file: h5f.FileID, name: str) -> Any:
    """An attribute that is one number or one short text, as bytes; None where there is none."""
    if not h5a.exists(file, name.encode()):
        return None
    found = h5a.open(file, name.encode())
    kind, short = found.get_type(), found.get_storage_size() <= _MOST_ATTRIBUTE_BYTES
    if kind.get_class() not in (h5t.INTEGER, h5t.FLOAT, h5t.STRING) or found.shape or not short:
        raise OSError(f"attribute {name}: expected one number or one text")
    if kind.get_class() == h5t.STRING and kind.is_variable_str():
        raise OSError(f"attribute {name}: expected text of a fixed length")
    value = np.empty((), kind.dtype)
    found.read(value)
    return value.item()
