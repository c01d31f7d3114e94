"""Every byte of a shard counts: whichever flips, it is named, and training does not read on."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.storage import ZipStore

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


def test_members_come_back_in_order(tmp_path: Path) -> None:
    write_members(tmp_path / "a.zip", MEMBERS)
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert file.namelist() == ["a", "b/c/0", "zarr.json"]
        assert {name: file.read(name) for name in file.namelist()} == MEMBERS
        assert file.comment.startswith(b"crc32c:")
    assert list(damaged_members(tmp_path / "a.zip")) == []


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_each_byte_of_a_small_file_is_named(tmp_path: Path, flip: int) -> None:
    path = tmp_path / "a.zip"
    write_members(path, MEMBERS)
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= flip
        path.write_bytes(changed)
        assert list(damaged_members(path)), place


def test_no_byte_can_take_the_seal_away(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_members(path, MEMBERS)
    content = path.read_bytes()
    for place in range(len(content) - 37, len(content)):
        for value in (0, 1, 13, 14, 16, 255):
            if value == content[place]:
                continue
            changed = bytearray(content)
            changed[place] = value
            path.write_bytes(changed)
            assert list(damaged_members(path)), (place, value)


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


def test_plain_zarr_reads_a_sealed_file(path: Path) -> None:
    with ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        assert set(group.array_keys()) == set(ARRAYS)
