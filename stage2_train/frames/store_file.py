"""Opens the HDF5 file of a clip store or of a part, and believes nothing of it unseen.

HDF5 gives the table of contents, of datasets that were looked at first (`datasets`); long columns
are read through a read-only map of the file, which has no lock and no file position.
"""

import json
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import h5py
import numpy as np
from h5py import h5d
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from orn.shared.config.fields import explain
from orn.shared.errors import ClipStoreError
from orn.shared.time_ranges import TimeRanges
from orn.stage2_train.frames.datasets import (
    CHUNK_BYTES,
    attribute,
    check_names,
    checked_dataset,
    pieces,
    read_column,
    unreadable,
)
from orn.stage2_train.frames.jpeg import most_bytes
from orn.stage2_train.frames.schema import (
    COLUMNS,
    FORMAT_NAME,
    FORMAT_VERSION,
    MOST_PIXELS,
    MOST_SIDE,
    FailedClip,
    StoreSettings,
    column_checksum,
    parse_ranges,
)
from orn.stage2_train.frames.seal import check_seal

REMEDY = (
    "; `orn clips --verify` finds all that is damaged, remove the file and run `orn clips` to "
    "write it again"
)

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SIZES = {"squash": ("height", "width"), "short-side": ("short_side",)}
"""Attributes that `resize` wants."""
_HDF5_ERRORS = (OSError, LookupError, RuntimeError, TypeError, ValueError, MemoryError)
"""What h5py raises for a file that is damaged; text that is no UTF-8 is a ValueError."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Bytes:
    """A long row of bytes that lies in the file in pieces of one length."""

    content: mmap.mmap
    starts: tuple[int, ...]
    piece_bytes: int
    length: int  # the last piece may be longer than what is left of it

    def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop)."""
        found = b""
        while start < stop:
            piece, within = divmod(start, self.piece_bytes)
            taken = min(stop - start, self.piece_bytes - within)
            place = self.starts[piece] + within
            found += self.content[place : place + taken]
            start += taken
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoreFile:
    """A store or part whose table of contents is what the format says."""

    path: Path
    settings: StoreSettings
    failed: tuple[FailedClip, ...]
    columns: Mapping[str, NDArray[Any]]
    """Those of videos in memory, those of frames where they lie in the file."""
    jpeg: _Bytes
    seal: int
    """Checksum in its seal."""
    follows: object
    """That of the file it was added to; None where it is the first one of a store."""

    def places(self, row: int) -> slice:
        """The frames of a video, among those of the file."""
        return slice(*self.columns["video_offsets"][row : row + 2].tolist())

    def stored_size(self, row: int) -> tuple[int, int]:
        """(height, width) of the stored frames of a video."""
        return int(self.columns["stored_height"][row]), int(self.columns["stored_width"][row])

    def times(self, row: int) -> TimeRanges:
        """Times of a video that are stored.

        Raises:
            ClipStoreError: if they cannot be read.
        """
        try:
            return parse_ranges(self.columns["ranges"][row])
        except ClipStoreError as err:
            raise self.damage(row, f"its ranges are damaged ({err})") from err

    def of_frames(self, name: str, row: int) -> NDArray[Any]:
        """(F,) `seconds` or `frame_index` of a video.

        Raises:
            ClipStoreError: if they are damaged: their checksum is wrong, or they do not increase.
        """
        values_F: NDArray[Any] = self.columns[name][self.places(row)]
        wanted = self.columns[f"{name}_crc32c"][row]
        self._compare(wanted, values_F.tobytes(), f"its {name} are", row)
        ends = values_F[[0, -1]] if len(values_F) else values_F
        if not np.isfinite(ends).all() or not (values_F[1:] > values_F[:-1]).all():
            raise self.damage(row, f"its {name} are damaged (wanted them to increase)")
        return values_F

    def jpeg_files(self, row: int, frames: Iterable[int]) -> Iterator[bytes]:
        """Some frames of a video as they are stored, in the order asked for.

        Raises:
            ClipStoreError: if one is damaged, as far as its checksum or its borders tell.
        """
        first, most = self.places(row).start, most_bytes(*self.stored_size(row))
        offsets_F1, crc32c_F = self.columns["jpeg_offsets"], self.columns["frame_crc32c"]
        for frame in frames:
            place = first + frame
            start, stop = offsets_F1[place : place + 2].tolist()
            if not 0 <= start < stop <= self.jpeg.length or stop - start > most:
                found = f"[{start}, {stop}) of {self.jpeg.length}"
                problem = f"frame {frame} is damaged (wanted 1 to {most} bytes, found {found})"
                raise self.damage(row, problem)
            data = self.jpeg.read(start, stop)
            self._compare(crc32c_F[place], data, f"frame {frame} is", row)
            yield data

    def _compare(self, wanted: int, data: bytes, what: str, row: int) -> None:
        found = google_crc32c.value(data)
        if found != wanted:
            sums = f"wanted CRC-32C {wanted:08x}, found {found:08x}"
            raise self.damage(row, f"{what} damaged ({sums})")

    def no_picture(self, row: int, frame: int, error: Exception) -> ClipStoreError:
        """The error for a frame that cannot be decoded."""
        return self.damage(row, f"frame {frame} is damaged ({str(error).splitlines()[0]})")

    def damage(self, row: int, problem: str) -> ClipStoreError:
        """An error that names the file and the video."""
        return ClipStoreError(
            f"{self.path}: video {self.columns['video_id'][row]}: {problem}{REMEDY}"
        )


def read_store(path: Path) -> StoreFile:
    """A store or part, opened; its small columns are read and checked. HDF5's library, which may
    crash or never end on damage, sees it only where its seal is right.

    Raises:
        ClipStoreError: if it is absent, damaged or of another format.
    """
    if not path.is_file():
        raise ClipStoreError(f"{path}: there is no clip store; run `orn clips` to write it")
    try:
        with path.open("rb") as raw:
            content = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ)
        if content[: len(_SIGNATURE)] != _SIGNATURE:
            raise OSError("its first bytes are not those of an HDF5 file")
        seal = check_seal(path)
        with h5py.File(path, "r") as file:
            return _read(file, path, content, seal)
    except ClipStoreError:
        raise
    except _HDF5_ERRORS as err:
        raise unreadable(path, str(err) or type(err).__name__) from err


def _read(file: h5py.File, path: Path, content: mmap.mmap, seal: int) -> StoreFile:
    settings = _settings(file, path)
    names = check_names(file, path)
    datasets = {name: checked_dataset(file, name, path) for name in sorted(names)}
    columns = {
        name: read_column(file, datasets[name], name, content)
        if name in datasets
        else np.zeros(1 if each.borders_of else 0, each.dtype or object)
        for name, each in COLUMNS.items()
        if name != "jpeg"
    }
    jpeg = _bytes(datasets.get("jpeg"), content)
    _check_rows(columns, jpeg, path)
    _check_sizes(columns, settings, path)
    for name in sorted(columns.keys() & datasets.keys()):
        wanted = attribute(datasets[name], "crc32c")
        if isinstance(wanted, int) and wanted != (crc := column_checksum(name, columns[name])):
            found = f"wanted CRC-32C {wanted:08x}, found {crc:08x}"
            raise unreadable(path, f"dataset {name} is damaged ({found})")
    failed = zip(columns["failed_id"], columns["failed_reason"], strict=True)
    return StoreFile(
        path=path,
        settings=settings,
        failed=tuple(FailedClip(id=name, reason=reason) for name, reason in failed),
        columns=columns,
        jpeg=jpeg,
        seal=seal,
        follows=attribute(file.id, "follows"),
    )


def _settings(file: h5py.File, path: Path) -> StoreSettings:
    name, version = (attribute(file.id, each) for each in ("format", "format_version"))
    if name != FORMAT_NAME:
        raise ClipStoreError(
            f"{path}: wanted a clip store (format {FORMAT_NAME!r}), found format {name!r}"
        )
    if version != FORMAT_VERSION:
        raise ClipStoreError(
            f"{path}: wanted clip store version {FORMAT_VERSION}, found {version!r}; "
            "write it again with `orn clips --fresh`"
        )
    resize = attribute(file.id, "resize")
    if resize not in _SIZES:
        raise unreadable(path, f"attribute resize: wanted squash or short-side, found {resize!r}")
    found = {key: attribute(file.id, key) for key in (*_SIZES[str(resize)], "jpeg_quality", "rate")}
    missing = [key for key, value in found.items() if value is None]
    if missing:
        raise unreadable(path, f"wanted the attribute {missing[0]}, found none")
    try:
        # As JSON, since pydantic's strict mode takes a table for a record from JSON alone.
        settings = json.dumps({**found, "rate": found["rate"] or None})
        return TypeAdapter(StoreSettings).validate_json(settings)
    except ValidationError as err:
        raise unreadable(path, f"attributes: {explain(err, StoreSettings)}") from err


def _bytes(dataset: h5d.DatasetID | None, content: mmap.mmap) -> _Bytes:
    """The bytes of `jpeg`."""
    length = 0 if dataset is None else dataset.shape[0]
    places = [] if dataset is None else pieces(dataset)
    is_whole = dataset is None or dataset.get_create_plist().get_layout() == h5d.CONTIGUOUS
    return _Bytes(
        content=content,
        starts=tuple(start for start, _ in places),
        piece_bytes=max(length, 1) if is_whole else CHUNK_BYTES,
        length=length,
    )


def _check_rows(columns: Mapping[str, NDArray[Any]], jpeg: _Bytes, path: Path) -> None:
    """That columns are as long as others, the borders of videos rise, and ids are unique."""
    counted = {"videos": "video_id", "frames": "seconds", "failed": "failed_id"}
    rows = {counts: len(columns[name]) for counts, name in counted.items()}
    rows["bytes"] = jpeg.length
    for name, values in columns.items():
        column = COLUMNS[name]
        wanted = rows[column.counts] + (column.borders_of is not None)
        if len(values) != wanted:
            raise unreadable(path, f"wanted {wanted} rows of {name}, found {len(values)}")
        if column.borders_of is not None:
            last = rows[column.borders_of]
            is_bent = column.is_small and (values[1:] < values[:-1]).any()
            if values[0] != 0 or values[-1] != last or is_bent:
                raise unreadable(path, f"wanted {name} that rise from 0 to {last}, found others")
    if len(set(columns["video_id"])) != rows["videos"]:
        raise unreadable(path, "wanted ids of videos that differ, found one twice")


def _check_sizes(columns: Mapping[str, NDArray[Any]], settings: StoreSettings, path: Path) -> None:
    """That each video has a size, and its frames the one that the settings give them."""
    sides: Sequence[NDArray[Any]] = (columns["stored_height"], columns["stored_width"])
    if settings.short_side is None:
        wanted = f"{settings.height}x{settings.width}"
        wrong = (sides[0] != settings.height) | (sides[1] != settings.width)
    else:
        most = min(MOST_SIDE, MOST_PIXELS // settings.short_side)
        wanted = f"a short side of {settings.short_side}, a long one of at most {most}"
        wrong = (np.minimum(*sides) != settings.short_side) | (np.maximum(*sides) > most)
    for row in np.flatnonzero(wrong)[:1].tolist():
        raise unreadable(
            path,
            f"video {columns['video_id'][row]}: wanted frames of {wanted}, found "
            f"{sides[0][row]}x{sides[1][row]}",
        )
    for name in ("source_height", "source_width"):
        for row in np.flatnonzero(columns[name] < 1)[:1].tolist():
            video, found = columns["video_id"][row], columns[name][row]
            raise unreadable(path, f"video {video}: wanted a {name} of at least 1, found {found}")
