"""Shards that claim more than they hold: refused with the number, in little time and memory."""

import json
import re
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from orn.shared.errors import ShardFormatError
from orn.shared.shards.shard import Shard
from orn.shared.shards.verify import verify_shard
from tests.bounded import bounded
from tests.shared.shards.conftest import ShardMaker

_DIRECTORY_ENTRY = b"PK\x01\x02"
_CHUNK = "boxes/c/0/0"
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, write_shard: ShardMaker) -> Path:
    path = tmp_path_factory.mktemp("made") / "s.zarr.zip"
    return write_shard(path, {"a": (range(6), [i / 10 for i in range(6)])})


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path))


def read_all(path: Path) -> list[str]:
    """What verification says; then everything is read, which raises what reading raises."""
    told = [problem.message for problem in verify_shard(path)]
    shard = Shard(path)
    for row in range(shard.num_frames):
        shard.frame(row)
    return told


def repacked(
    path: Path, change: Callable[[Members], object], *, compression: int = zipfile.ZIP_STORED
) -> Path:
    """The shard without a seal after a change of its members."""
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    change(members)
    target = path.with_name("changed.zarr.zip")
    with zipfile.ZipFile(target, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return target


def put(name: str, content: bytes) -> Callable[[Members], None]:
    return lambda members: members.update({name: content})


def in_document(name: str, **changes: Any) -> Callable[[Members], None]:
    """A change of an array's document."""

    def change(members: Members) -> None:
        key = f"{name}/zarr.json"
        members[key] = json.dumps(json.loads(members[key]) | changes).encode()

    return change


def in_directory(path: Path, name: str, *, offset: int, form: str, value: int) -> Path:
    """The shard with a field of a member's entry in the ZIP directory replaced."""
    data = bytearray(path.read_bytes())
    entry = data.rindex(_DIRECTORY_ENTRY, 0, data.rindex(name.encode()))
    struct.pack_into(form, data, entry + offset, value)
    path.write_bytes(data)
    return path


def zstd_chunk(size: int, blocks: int) -> bytes:
    """A chunk with the right checksum whose frame claims `size` bytes, and has `blocks` of 128 KiB
    of zeros."""
    header = b"\x28\xb5\x2f\xfd" + bytes([0b1100_0000, 0x58]) + struct.pack("<Q", size)
    block = struct.pack("<I", (1 << 1) | (2**17 << 3))[:3] + b"\0"
    body = header + block * blocks + struct.pack("<I", 1)[:3]
    return body + google_crc32c.value(body).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("chunk", "found"),
    [
        (zstd_chunk(2**40, 1), "found zstd for 1,099,511,627,776"),
        (zstd_chunk(2**32, 2**15), "found zstd for 4,294,967,296"),
        (zstd_chunk(7 * 16, 2**15), "Destination buffer is too small"),
        (zstd_chunk(7 * 16, 0), "chunk 0 is damaged"),
        (zstd_chunk(1, 0), "wanted 112 bytes, found zstd for 1"),
    ],
)
def test_a_chunk_has_the_size_that_its_array_gives_it(path: Path, chunk: bytes, found: str) -> None:
    changed = repacked(path, put(_CHUNK, chunk))
    with pytest.raises(ShardFormatError, match=rf"changed\.zarr\.zip: .*array 'boxes'.*{found}"):
        bounded(read_all, changed)


def test_a_chunk_that_does_not_tell_its_size_is_refused(path: Path) -> None:
    body = b"\x28\xb5\x2f\xfd\x00\x58" + b"\x01\0\0"
    chunk = body + google_crc32c.value(body).to_bytes(4, "little")
    with pytest.raises(ShardFormatError, match="no zstd frame that tells its size"):
        read_all(repacked(path, put(_CHUNK, chunk)))


@pytest.mark.parametrize("name", ["zarr.json", "boxes/zarr.json", _CHUNK])
def test_a_member_that_is_compressed_is_not_read(path: Path, name: str) -> None:
    bomb = repacked(path, put(name, b"[" * 2**26), compression=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 2**18
    with pytest.raises(ShardFormatError, match=r"ZIP member .*: wanted stored members of the ZIP"):
        bounded(read_all, bomb)


@pytest.mark.parametrize(
    ("name", "most"), [("zarr.json", "8,388,608"), ("boxes/zarr.json", "65,536")]
)
def test_a_document_is_no_larger_than_ours(path: Path, name: str, most: str) -> None:
    with pytest.raises(ShardFormatError, match=f"{name}: wanted at most {most} bytes, found"):
        read_all(repacked(path, put(name, b"[[],[]," * 2**21)))


@pytest.mark.parametrize(
    ("offset", "form", "value", "message"),
    [
        (20, "<I", 2**31, "wanted one size, found 144 and 2,147,483,648 bytes"),
        (24, "<I", 2**31, "wanted one size, found 2,147,483,648 and"),
        (8, "<H", 1, "wanted stored members of the ZIP file, found one compressed or encrypted"),
        (10, "<H", 8, "wanted stored members of the ZIP file"),
        (10, "<H", 99, "wanted stored members of the ZIP file"),
        (42, "<I", 40, "begins inside the member"),
        (42, "<I", 2**32 - 2, "reaches into the directory"),
        (42, "<I", 2**32 - 1, "reaches into the directory"),
    ],
)
def test_an_entry_of_the_directory_that_lies_is_refused(
    path: Path, offset: int, form: str, value: int, message: str
) -> None:
    plain = repacked(path, lambda members: members.update({_CHUNK: b"x" * 144}))
    changed = in_directory(plain, _CHUNK, offset=offset, form=form, value=value)
    with pytest.raises(ShardFormatError, match=rf"changed\.zarr\.zip: .*{re.escape(message)}"):
        read_all(changed)


def test_members_that_share_bytes_are_refused(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as file:
        file.comment = b""
        file.writestr("boxes/zarr.json", file.read("boxes/zarr.json"))
    with pytest.raises(ShardFormatError, match=r"'boxes/zarr\.json': found twice"):
        read_all(path)


def test_a_directory_of_millions_of_entries_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "many.zarr.zip"
    entry = _DIRECTORY_ENTRY + bytes(24) + struct.pack("<HHHHHII", 1, 0, 0, 0, 0, 0, 0) + b"x"
    number = 1_000_000
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 65535, 65535, len(entry) * number, 0, 0)
    path.write_bytes(entry * number + end)
    with pytest.raises(ShardFormatError, match="directory of at most 16,777,216 bytes, found 47,0"):
        bounded(read_all, path)


@pytest.mark.parametrize("size", [2**20, 2**40, 2**63])
def test_a_zip64_directory_that_lies_is_refused(path: Path, size: int) -> None:
    data = repacked(path, lambda members: None).read_bytes()
    end = data.rindex(b"PK\x05\x06")
    zip64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 9, 9, size, 2**62)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
    path.write_bytes(data[:end] + zip64 + locator + tail)
    with pytest.raises(ShardFormatError, match=r"s\.zarr\.zip: not a whole shard"):
        bounded(read_all, path)


def test_numbers_of_the_other_byte_order_are_refused(path: Path) -> None:
    codecs = [{"name": "bytes", "configuration": {"endian": "big"}}]
    change = in_document("boxes", codecs=[*codecs, {"name": "zstd"}, {"name": "crc32c"}])
    with pytest.raises(ShardFormatError, match="found big-endian float32"):
        read_all(repacked(path, change))


def test_arrays_without_end_are_refused(path: Path) -> None:
    def change(members: Members) -> None:
        for number in range(100):
            members[f"more{number}/zarr.json"] = members["boxes/zarr.json"]

    with pytest.raises(ShardFormatError, match="wanted at most 64 arrays, found 110"):
        read_all(repacked(path, change))
