"""Every byte of a shard counts: whichever flips, it is named, and training does not read on."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import PipelineError
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.sealed_zip import damaged_members, write_members
from orn.shared.shards.verify import verify_shard
from tests.shared.shards.conftest import write_drawn

MEMBERS = {"b/c/0": b"content of b", "a": b"", "zarr.json": b"{}" * 50}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    videos = {"a": (range(8), np.arange(8) / 10), "b": ((3, 7), (0.5, 0.9))}
    return write_drawn(tmp_path / "shard-000000.zarr.zip", videos, failed={"x": "broken"})


def read_all(folder: Path) -> None:
    """Reads what a training could: every frame of every video."""
    detections = DetectionFolder(folder)
    for video_id in detections.video_ids:
        video = detections.video(video_id)
        for row in range(video.num_frames):
            video.frame(row)


def test_each_byte_of_a_small_file_is_named(tmp_path: Path) -> None:
    """Nor can one take the seal away, which lies in the last 37 bytes."""
    path = tmp_path / "a.zip"
    write_members(path, MEMBERS)
    assert list(damaged_members(path)) == []
    content = path.read_bytes()
    for place, byte in enumerate(content):
        others = {byte ^ 0x01, byte ^ 0x80, byte ^ 0xFF}
        if place >= len(content) - 37:
            others |= {0, 1, 13, 14, 16, 255} - {byte}
        for other in others:
            path.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
            assert list(damaged_members(path)), (place, other)


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
