"""The ZIP file around a shard, to the byte: so that a byte that flips anywhere is noticed.

Members are stored one after another, in the order of their names, all with the same attributes and
date; then comes the directory, and in the file's comment the CRC-32C of the directory. That has a
CRC-32 of each member, and each local header repeats its entry, so every byte of the file is checked
by another. A file that other tools have packed anew has no such comment and is read without these
checks. Format: PKWARE APPNOTE 4.3.

What a file says of itself is bounded before it is believed: how large its directory is, and that
members are stored as they are, one after another, none large.
"""

import io
import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import google_crc32c

from orn.shared.errors import ShardFormatError, ShardNotFoundError

_TIME = (1980, 1, 1, 0, 0, 0)  # the same detections give the same bytes, whenever written
_UNIX = 3
_MODE = 0o600 << 16
_VERSION = 20

_LOCAL, _ENTRY, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_LOCAL_HEADER = struct.Struct("<4s10sIIIHH")  # signature, _PLAIN, CRC, sizes, name and extra field
_PLAIN = struct.pack("<HHHHH", _VERSION, 0, 0, 0, 1 << 5 | 1)  # no flags, stored, 1980-01-01
_END_BYTES = 22
_SEAL_BYTES = len("crc32c:00000000")
_MOST_DIRECTORY_BYTES = 16 * 2**20
"""Of the directory of all members: 250,000 of them, 30 GiB of chunks before compression."""
_MOST_MEMBERS = 2**18
MOST_MEMBER_BYTES = 32 * 2**20
_ENCRYPTED = 1
_CHECKSUM = "the checksum of the ZIP member {} does not match"


def write_members(path: Path, members: Mapping[str, bytes]) -> None:
    """Writes a sealed ZIP file; equal members give equal bytes."""
    with zipfile.ZipFile(path, mode="w", compression=zipfile.ZIP_STORED) as file:
        file.comment = _seal(b"")
        for name in sorted(members):
            file.writestr(_info(name), members[name])
        directory = file.start_dir
    with path.open("r+b") as raw:
        raw.seek(directory)
        tail = raw.read()[:-_SEAL_BYTES]
        raw.seek(-_SEAL_BYTES, os.SEEK_END)
        raw.write(_seal(tail))


class _BoundedFile(io.FileIO):
    """A file of which nobody reads more at once than a directory may have."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = os.fstat(self.fileno()).st_size - self.tell()
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > _MOST_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(
                f"wanted a directory of at most {_MOST_DIRECTORY_BYTES:,} bytes, found {wanted:,}"
            )
        return super().read(wanted) or b""


class Members(zipfile.ZipFile):
    """The members of a ZIP file, which are stored as they are and apart from each other; to be
    closed.

    Raises:
        ShardNotFoundError: if there is no such file.
        ShardFormatError: if it is none, or claims what no shard has, or has a seal that does not
            match its directory; says which member.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if not path.is_file() and path.exists():  # a pipe would be waited for without end
                found = "a folder" if path.is_dir() else "what is no file, such as a pipe"
                raise ShardFormatError(f"{path}: wanted a shard, which is a file, found {found}")
            super().__init__(_BoundedFile(path))  # type: ignore[arg-type]
        except FileNotFoundError as err:
            raise ShardNotFoundError(f"{path}: no such shard") from err
        except ShardFormatError:
            raise
        except OSError as err:
            raise ShardFormatError(f"{path}: cannot be read ({err.strerror or err})") from err
        except Exception as err:  # zipfile raises several types for a directory that lies
            why = str(err) or type(err).__name__
            raise ShardFormatError(
                f"{path}: not a whole shard ({why}); remove it and run what wrote it again"
            ) from err
        try:
            self._check_members()
            self.sealed = self._is_sealed()
            """Whether the file has a seal; each local header is then what the directory says."""
        except BaseException:
            self.close()
            raise

    @property
    def number(self) -> int:
        """Its descriptor."""
        assert self.fp is not None
        return self.fp.fileno()

    def document(self, name: str, *, most_bytes: int) -> bytes:
        """A member that holds JSON.

        Raises:
            ShardFormatError: if there is none, or it is larger, or its header or its content is not
                what the directory says.
        """
        try:
            info = self.getinfo(name)
            if info.file_size > most_bytes:
                found = f"{info.file_size:,}"
                raise ShardFormatError(
                    f"{self.path}: {name}: wanted at most {most_bytes:,} bytes, found {found}"
                )
            if not self.sealed:
                return self.read(name)
            header = local_header(name, info.CRC, info.file_size)
            stored = os.pread(self.number, len(header) + info.file_size, info.header_offset)
            if not stored.startswith(header):
                raise ValueError("its local header is not what the directory says")
            if zlib.crc32(stored[len(header) :]) != info.CRC:
                raise ValueError(_CHECKSUM.format(name))
            return stored[len(header) :]
        except ShardFormatError:
            raise
        except KeyError as err:
            raise ShardFormatError(
                f"{self.path}: wanted a group of Zarr 3, found no readable {name} (there is none)"
            ) from err
        except Exception as err:  # of a local header that is not what the directory says
            why = str(err) or type(err).__name__
            raise ShardFormatError(
                f"{self.path}: {name} is damaged ({why}); remove the shard and run what wrote it "
                "again"
            ) from err

    def _check_members(self) -> None:
        """Checks that members are stored, not encrypted, not large, each once, none in another."""
        seen: set[str] = set()
        end, before = 0, ""
        for info in sorted(self.infolist(), key=lambda info: info.header_offset):
            size, problem = info.file_size, ""
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & _ENCRYPTED:
                problem = "wanted stored members of the ZIP file, found one compressed or encrypted"
            elif size != info.compress_size:
                problem = f"wanted one size, found {size:,} and {info.compress_size:,} bytes"
            elif size > MOST_MEMBER_BYTES:
                problem = f"wanted at most {MOST_MEMBER_BYTES:,} bytes, found {size:,}"
            elif info.header_offset < end:
                problem = f"begins inside the member {before!r}"
            elif info.filename in seen:
                problem = "found twice"
            if problem:
                raise ShardFormatError(f"{self.path}: ZIP member {info.filename!r}: {problem}")
            seen.add(info.filename)
            end, before = info.header_offset + _LOCAL_HEADER.size + size, info.filename
        if end > self.start_dir:
            raise ShardFormatError(
                f"{self.path}: ZIP member {before!r}: reaches into the directory"
            )

    def _is_sealed(self) -> bool:
        left = os.fstat(self.number).st_size - self.start_dir
        tail = os.pread(self.number, min(left, 2 * _MOST_DIRECTORY_BYTES), self.start_dir)
        if _is_unsealed(tail):
            return False
        members = self.infolist()
        starts_at_0 = not members or members[0].header_offset == 0
        if tail[-_SEAL_BYTES:] != _seal(tail[:-_SEAL_BYTES]) or not starts_at_0:
            raise ShardFormatError(
                f"{self.path}: not a whole shard (its ZIP directory is damaged, `orn verify` says "
                "where); remove it and run what wrote it again"
            )
        return True


def local_header(name: str, checksum: int, size: int) -> bytes:
    """What stands before a member's data in a sealed file: its name, CRC-32 and size are those of
    the directory."""
    encoded = name.encode("ascii", "replace")
    return _LOCAL_HEADER.pack(_LOCAL, _PLAIN, checksum, size, size, len(encoded), 0) + encoded


def damaged_members(path: Path) -> Iterator[tuple[str, str]]:
    """Each member that a byte is wrong of, and what it is; the name is empty where it is the file
    as a whole. Of a file without a seal only the first, by the checksums of ZIP."""
    try:
        with Members(path) as file:
            infos, end = file.infolist(), file.start_dir
            if not file.sealed:
                yield from _damaged_unsealed(file)
                return
    except ShardFormatError:
        with _mapped(path) as data:
            if not _is_unsealed(data[-_END_BYTES:]):
                yield from _damaged_directory(data)
    else:
        with _mapped(path) as data:
            yield from _damaged_contents(data, infos, end=end)


@contextmanager
def _mapped(path: Path) -> Iterator[Any]:
    """The bytes of a file, read when they are looked at."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError("no file, such as a pipe")
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            yield b""  # nothing that could be mapped
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def _damaged_unsealed(file: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    try:
        if (member := file.testzip()) is not None:
            yield member, _CHECKSUM.format(member)
    except Exception as err:  # of a local header that is not what the directory says
        yield "", str(err) or type(err).__name__


def _damaged_contents(
    data: Any, infos: list[zipfile.ZipInfo], *, end: int
) -> Iterator[tuple[str, str]]:
    """Members whose header or data are not what the directory says, which is right."""
    place = 0
    for info in infos:
        header = local_header(info.filename, info.CRC, info.file_size)
        begin = place + len(header)
        if data[place:begin] != header:
            yield info.filename, f"the local header of the ZIP member {info.filename} is damaged"
        elif zlib.crc32(data[begin : begin + info.file_size]) != info.CRC:
            yield info.filename, _CHECKSUM.format(info.filename)
        place = begin + info.file_size
    if place != end:
        yield "", f"members of {place} bytes in place of {end}"


def _damaged_directory(data: Any) -> Iterator[tuple[str, str]]:
    """Members whose entry in the directory, which is wrong, is not what their headers say."""
    infos = list(islice(_chain(data), _MOST_MEMBERS))
    entries = [_entry(info) for info in infos]
    place = _end_of(infos[-1]) if infos else 0
    tail = data[max(place, len(data) - 2 * _MOST_DIRECTORY_BYTES) :]
    if tail[-_SEAL_BYTES:] == _seal(tail[:-_SEAL_BYTES]):
        return  # it is as it was written, whatever it says
    expected = place + sum(map(len, entries)) + _END_BYTES + _SEAL_BYTES
    if len(data) != expected:
        yield "", f"{len(data)} bytes in place of {expected}"
        return
    found = []
    for info, entry in zip(infos, entries, strict=True):
        name, end = info.filename, _end_of(info)
        if zlib.crc32(data[end - info.file_size : end]) != info.CRC:
            found.append((name, _CHECKSUM.format(name)))
        elif data[place : place + len(entry)] != entry:
            found.append((name, f"the entry of the ZIP member {name} in the directory is damaged"))
        place += len(entry)
    yield from found or [("", "the end of the ZIP file is damaged")]


def _chain(data: Any) -> Iterator[zipfile.ZipInfo]:
    """The members by their local headers, as long as each begins where the one before ends."""
    place = 0
    while data[place : place + 4] == _LOCAL and place + _LOCAL_HEADER.size <= len(data):
        _, _, checksum, size, _, name_bytes, extra = _LOCAL_HEADER.unpack_from(data, place)
        if size > MOST_MEMBER_BYTES:
            return
        begin = place + _LOCAL_HEADER.size
        info = _info(data[begin : begin + name_bytes].decode("ascii", "replace"))
        info.CRC = checksum
        info.file_size = info.compress_size = size
        info.header_offset = place
        place = begin + name_bytes + extra + size
        yield info


def _end_of(info: zipfile.ZipInfo) -> int:
    return info.header_offset + _LOCAL_HEADER.size + len(info.filename) + info.file_size


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=_TIME)
    info.create_system, info.external_attr = _UNIX, _MODE
    info.create_version = info.extract_version = _VERSION
    return info


def _entry(info: zipfile.ZipInfo) -> bytes:
    """The directory's entry of a member."""
    header = local_header(info.filename, info.CRC, info.file_size)
    # Version and system that made it; then, from the version needed on, as in the local header;
    # then no comment, disk 0, no internal attributes, the mode, and the place.
    return (
        _ENTRY
        + bytes((_VERSION, _UNIX))
        + header[4 : _LOCAL_HEADER.size]
        + struct.pack("<HHHII", 0, 0, 0, _MODE, info.header_offset)
        + header[_LOCAL_HEADER.size :]
    )


def _seal(tail: bytes) -> bytes:
    return f"crc32c:{google_crc32c.value(tail):08x}".encode()


def _is_unsealed(tail: bytes) -> bool:
    """Whether a ZIP file ends with a record that has no comment, as nothing sealed does."""
    return tail[-_END_BYTES : -_END_BYTES + 4] == _END and tail[-2:] == b"\0\0"
