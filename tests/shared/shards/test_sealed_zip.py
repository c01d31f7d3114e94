"""Every byte of a shard counts: whichever flips, it is named, and training does not read on."""

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import PipelineError
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.schema import ARRAYS
from orn.shared.shards.sealed_zip import damaged_members, write_members
from orn.shared.shards.verify import verify_shard
from tests.shared.shards.conftest import ShardMaker

MEMBERS = {"b/c/0": b"content of b", "a": b"", "zarr.json": b"{}" * 50}


@pytest.fixture
def path(tmp_path: Path, write_shard: ShardMaker) -> Path:
    videos = {"a": (range(8), np.arange(8) / 10), "b": ((3, 7), (0.5, 0.9))}
    return write_shard(tmp_path / "shard-000000.zarr.zip", videos, failed={"x": "broken"})


def read_all(folder: Path) -> None:
    """Reads what a training could: every frame of every video."""
    detections = DetectionFolder(folder)
    for video_id in detections.video_ids:
        video = detections.video(video_id)
        for row in range(video.num_frames):
            video.frame(row)


def owners(path: Path) -> Iterator[tuple[int, str]]:
    """Each byte that belongs to one member, in its data, its header or the directory, with the
    member's array."""
    with zipfile.ZipFile(path) as file:
        infos, place = file.infolist(), file.start_dir
    for info in infos:
        array = info.filename.split("/")[0] if "/" in info.filename else ""
        end = info.header_offset + 30 + len(info.filename) + info.file_size
        yield from ((byte, array) for byte in range(info.header_offset, end))
        entry = 46 + len(info.filename)
        yield from ((byte, array) for byte in range(place, place + entry))
        place += entry


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_each_byte_of_a_small_file_is_named(tmp_path: Path, flip: int) -> None:
    path = tmp_path / "a.zip"
    write_members(path, MEMBERS)
    assert list(damaged_members(path)) == []
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= flip
        path.write_bytes(changed)
        assert list(damaged_members(path)), place


@pytest.mark.parametrize("flip", [0x01, 0xFF])
def test_a_flipped_byte_of_a_shard(path: Path, flip: int) -> None:
    """`verify` names the shard and the array that the byte belongs to, and reading is refused."""
    content = path.read_bytes()
    owner = dict(owners(path))
    places = {*range(0, len(content), 41), *range(len(content) - 60, len(content))}
    with zipfile.ZipFile(path) as file:
        directory = file.start_dir
    places |= {*range(directory, len(content), 5)}
    named = set()
    for place in sorted(places):
        changed = bytearray(content)
        changed[place] ^= flip
        path.write_bytes(changed)
        problems = verify_shard(path)
        assert problems, place
        assert {problem.shard for problem in problems} == {path}
        assert {problem.array for problem in problems} == {owner.get(place, "")}, place
        named.add(owner.get(place, ""))
        with pytest.raises(PipelineError, match=r"shard-000000\.zarr\.zip"):
            read_all(path.parent)
    assert named == {"", *ARRAYS}
    path.write_bytes(content)
    assert verify_shard(path) == []
    read_all(path.parent)


def test_a_member_that_is_lost_or_put_in(path: Path) -> None:
    content = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        first = file.infolist()[0]
    end = first.header_offset + 30 + len(first.filename) + first.file_size
    for changed in (content[end:], content[:end] + content):
        path.write_bytes(changed)
        assert verify_shard(path)
        with pytest.raises(PipelineError):
            read_all(path.parent)


def test_a_file_packed_anew_is_read_without_the_seal(path: Path) -> None:
    packed = path.with_name("packed.zip")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(packed, "w") as file:
        for name in source.namelist():
            file.writestr(name, source.read(name))
    shutil.move(packed, path)
    assert list(damaged_members(path)) == []
    assert verify_shard(path) == []
    read_all(path.parent)
