"""Shards that claim more than they hold, or whose bits have flipped: refused, in little time and
memory, or read as they were."""

import json
import re
import shutil
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import pytest

from orn.inspection.verify import verify_shard
from orn.shared.shards.shard import Shard
from tests.bounded import refusals
from tests.shared.shards.conftest import Members, repacked, write_drawn

_CHUNK = "boxes/c/0/0"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "s.zarr.zip"
    return write_drawn(path, {"a": (range(6), [i / 10 for i in range(6)])})


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path))


def read_all(path: Path) -> list[str]:
    """What verification says; then everything is read, which raises what reading raises."""
    messages = [problem.message for problem in verify_shard(path)]
    shard = Shard(path)
    for row in range(shard.num_frames):
        shard.frame(row)
    return messages


def check_refused(files: Sequence[Path], messages: Sequence[str]) -> None:
    """Whether each file is refused, by one process with little time and memory."""
    for path, message, refusal in zip(files, messages, refusals(read_all, files), strict=True):
        assert re.search(rf"{re.escape(path.name)}: .*{message}", refusal), (path.name, refusal)


def put(name: str, content: bytes) -> Callable[[Members], None]:
    return lambda members: members.update({name: content})


def in_document(name: str, **changes: Any) -> Callable[[Members], None]:
    """A change of an array's document."""

    def change(members: Members) -> None:
        key = f"{name}/zarr.json"
        members[key] = json.dumps(json.loads(members[key]) | changes).encode()

    return change


def zstd_chunk(size: int, blocks: int) -> bytes:
    """A chunk with the right checksum whose frame claims `size` bytes, and has `blocks` of 128 KiB
    of zeros."""
    header = b"\x28\xb5\x2f\xfd" + bytes([0b1100_0000, 0x58]) + struct.pack("<Q", size)
    block = struct.pack("<I", (1 << 1) | (2**17 << 3))[:3] + b"\0"
    body = header + block * blocks + struct.pack("<I", 1)[:3]
    return body + google_crc32c.value(body).to_bytes(4, "little")


ONE_CHUNK = {"configuration": {"chunk_shape": [2**40]}}
LIES = [
    *(
        (put(_CHUNK, zstd_chunk(size, blocks)), r"'boxes': (chunk 0 is|expected 7)")
        for size in (2**40, 2**32, 9 * 16, 1, 0)
        for blocks in (0, 1, 2**15)
    ),
    (put("zarr.json", b"[[],[]," * 2**21), "zarr.json has 14,680,064 bytes"),
    (put("boxes/zarr.json", b"[[],[]," * 2**21), "boxes/zarr.json has 14,680,064 bytes"),
    (in_document("boxes", shape=[2**40, 4]), "no ZIP member boxes/c/1/0"),
    (in_document("rle", shape=[2**40]), "no ZIP member rle/c/1"),
    (in_document("rle", chunk_grid=ONE_CHUNK), "'rle': expected .* at most 16,777,216 bytes, got"),
]


def test_what_claims_more_than_it_holds_is_refused(path: Path) -> None:
    files = [
        repacked(path, change).rename(path.with_name(f"{number}.zarr.zip"))
        for number, (change, _) in enumerate(LIES)
    ]
    check_refused(files, [message for _, message in LIES])


def test_a_member_that_is_compressed_is_not_read(path: Path) -> None:
    files = []
    for number, name in enumerate(("zarr.json", "boxes/zarr.json", _CHUNK)):
        bomb = repacked(path, put(name, b"[" * 2**26), compression=zipfile.ZIP_DEFLATED)
        assert bomb.stat().st_size < 2**18
        files.append(bomb.rename(path.with_name(f"{number}.zarr.zip")))
    check_refused(files, [".* is compressed or encrypted"] * 3)
