"""The index of a folder of shards: that it spares reading them, and is never believed wrongly."""

import base64
import os
import pickle
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from orn.shared.errors import ShardFormatError
from orn.shared.shards import index, record
from orn.shared.shards.index import INDEX_NAME, open_folder
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.record import ShardRecord
from orn.shared.shards.schema import DetectorEntry, ShardAttributes
from orn.shared.shards.zarr_documents import MEMBER
from tests.bounded import bounded
from tests.shared.shards.conftest import FrameMaker, ShardMaker


def folder_attributes(folder: Path) -> Mapping[Path, ShardAttributes]:
    return open_folder(folder).attributes


def with_checksums(text: str) -> bytes:
    """The lines of an index, each with the checksum that it should have."""
    return b"".join(
        b"%s %08x\n" % (line, google_crc32c.value(line))
        for line in (each.rpartition(" ")[0].encode() for each in text.splitlines())
    )


@pytest.fixture
def folder(tmp_path: Path, write_shard: ShardMaker, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three shards, and as many are enough for an index."""
    monkeypatch.setattr(index, "_LEAST_SHARDS", 3)
    for number, name in enumerate("abc"):
        videos = {name: (range(2), (0.0, 0.5))}
        write_shard(tmp_path / f"shard-00000{number}.zarr.zip", videos, failed={f"x{name}": "bad"})
    return tmp_path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the shards that were read themselves."""
    names: list[str] = []
    read = index.shard_record

    def noted(path: Path) -> ShardRecord:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(index, "shard_record", noted)
    return names


def test_shards_are_read_once(folder: Path, reads: list[str]) -> None:
    first = folder_attributes(folder)
    assert len(reads) == 3
    assert folder_attributes(folder) == first
    assert len(reads) == 3
    assert DetectionFolder(folder).video_ids == ("a", "b", "c")
    assert [video.id for video in DetectionFolder(folder).failed] == ["xa", "xb", "xc"]
    assert isinstance(next(iter(first.values())), ShardAttributes)


def test_a_few_shards_need_no_index(tmp_path: Path, write_shard: ShardMaker) -> None:
    write_shard(tmp_path / "shard-000000.zarr.zip", {"a": (range(2), (0.0, 0.5))})
    DetectionFolder(tmp_path)
    assert not (tmp_path / INDEX_NAME).exists()


def test_an_index_that_lies_is_not_believed(
    folder: Path, reads: list[str], write_shard: ShardMaker
) -> None:
    folder_attributes(folder)
    path = folder / "shard-000001.zarr.zip"
    size = path.stat().st_size
    write_shard(path, {"d": (range(2), (0.0, 0.5))}, failed={"xb": "bad"})
    assert path.stat().st_size == size  # so that only the time tells
    reads.clear()
    assert DetectionFolder(folder).video_ids == ("a", "d", "c")
    assert reads == [path.name]
    path.with_name("shard-000003.zarr.zip").write_bytes(path.read_bytes())
    path.unlink()
    reads.clear()
    assert DetectionFolder(folder).video_ids == ("a", "c", "d")
    assert reads == ["shard-000003.zarr.zip"]
    DetectionFolder(folder)
    assert len(reads) == 1  # what was found is in the index now


def test_a_damaged_shard_is_refused_all_the_same(folder: Path) -> None:
    folder_attributes(folder)
    path = folder / "shard-000001.zarr.zip"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ShardFormatError, match="shard-000001"):
        DetectionFolder(folder)


@pytest.mark.parametrize("text", ["", "[] 0", "{} 0", '{"format":"shard-index 3","common":[{}]} 0'])
def test_a_damaged_index_is_made_anew(folder: Path, reads: list[str], text: str) -> None:
    wanted = folder_attributes(folder)
    (folder / INDEX_NAME).write_bytes(with_checksums(text))
    assert folder_attributes(folder) == wanted
    assert folder_attributes(folder) == wanted
    assert len(reads) == 6


def test_a_flipped_byte_is_noticed(folder: Path, reads: list[str]) -> None:
    wanted = folder_attributes(folder)
    path = folder / INDEX_NAME
    content = path.read_bytes()
    for place in range(0, len(content), 97):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        reads.clear()
        assert folder_attributes(folder) == wanted
        assert reads
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"height":12', '"height":"12"'),
        ('"height":12', '"height":-12'),
        ('"common":0', '"common":99'),
        ('"common":0', '"common":-1'),
        ('"rate":10.0', '"rate":NaN'),
        ('"videos":[', '"videos":' + "[" * 5000),
        ('"name":"shard', '"name":null,"x":"shard'),
        ("shard-index 3", "shard-index 2"),
    ],
)
def test_an_index_with_wrong_values_is_made_anew(
    folder: Path, reads: list[str], old: str, new: str
) -> None:
    wanted = folder_attributes(folder)
    path = folder / INDEX_NAME
    text = path.read_text()
    assert old in text
    path.write_bytes(with_checksums(text.replace(old, new, 1)))
    assert folder_attributes(folder) == wanted
    assert len(reads) == 6
    assert path.read_text() == text


def test_an_index_larger_than_the_shards_is_not_read(folder: Path, reads: list[str]) -> None:
    with (folder / INDEX_NAME).open("wb") as file:
        file.truncate(2**40)
    assert bounded(index._load, folder, {folder: (10_000, 0)}).index is None
    assert len(folder_attributes(folder)) == 3
    assert (folder / INDEX_NAME).stat().st_size < 2**20


def test_an_index_that_is_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / INDEX_NAME)
    assert bounded(index._load, folder, {}).index is None


@pytest.fixture
def rows(folder: Path, make_frame: FrameMaker) -> Callable[[], None]:
    """Reads each shard's frames with what the index says of it."""

    def read() -> None:
        detections = DetectionFolder(folder)
        for video_id in ("a", "b", "c"):
            masks = [each.masks for each in detections.video(video_id).frames_at([1, 0])]
            assert masks == [make_frame(1, 1).masks, make_frame(0, 0).masks]

    return read


def test_shards_are_read_by_the_index(
    rows: Callable[[], None], reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows()
    monkeypatch.setattr(record, "read_layout", None)  # so that no shard's own directory is read
    record._records.clear()
    reads.clear()
    rows()
    assert not reads


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"rows":[2,', '"rows":[3,'),
        ('"rows":[2,', '"rows":['),
        ('"rows_per_chunk":[2,', '"rows_per_chunk":[1,'),
        ('"members":"', '"members":"*'),
        ('"members":"', '"members":"AAAAAAAAAAAAAAAAAAAAAA=='),
        ('"chunks":{', '"chunks":null,"x":{'),
    ],
)
def test_chunks_that_no_shard_has_are_not_read(
    folder: Path, rows: Callable[[], None], old: str, new: str
) -> None:
    rows()
    path = folder / INDEX_NAME
    text = path.read_text()
    assert old in text
    path.write_bytes(with_checksums(text.replace(old, new, 1)))
    rows()


@pytest.mark.parametrize("field", ["place", "num_bytes", "checksum"])
@pytest.mark.parametrize("value", [0, 1, 77, 2**31])
def test_an_index_that_lies_about_chunks_gives_no_wrong_frame(
    folder: Path, rows: Callable[[], None], field: str, value: int
) -> None:
    rows()
    path = folder / INDEX_NAME
    text = path.read_text()
    (members, *_) = re.findall(r'"members":"(.*?)"', text)
    changed_M = np.frombuffer(base64.b64decode(members), MEMBER).copy()
    changed_M[field][:] = value
    changed = base64.b64encode(changed_M.tobytes()).decode()
    path.write_bytes(with_checksums(text.replace(members, changed, 1)))
    with suppress(ShardFormatError):
        rows()


def test_a_shard_that_changed_meanwhile_is_told(folder: Path, write_shard: ShardMaker) -> None:
    DetectionFolder(folder)
    detections = DetectionFolder(folder)
    write_shard(folder / "shard-000001.zarr.zip", {"b": (range(3), (0.0, 0.5, 1.0))})
    with pytest.raises(ShardFormatError, match=r"000001\.zarr\.zip: has changed since"):
        detections.video("b")


def test_copies_are_small_and_are_told_places(folder: Path, make_frame: FrameMaker) -> None:
    detections = DetectionFolder(folder)
    copy = pickle.loads(pickle.dumps(detections))
    assert copy.video("b", detections.places("b")).frame(1).masks == make_frame(1, 1).masks
    assert "_opened" not in vars(copy)  # it was not asked for all
    assert copy.video_ids == ("a", "b", "c")
    assert len(pickle.dumps(detections.places("b"))) < 1000


def test_different_detectors_stay_apart(
    folder: Path, write_shard: ShardMaker, detector: DetectorEntry
) -> None:
    other = replace(detector, checkpoint_digest="sha256:ff")
    write_shard(folder / "shard-000001.zarr.zip", {"b": ((), ())}, detector=other)
    first = folder_attributes(folder)
    assert folder_attributes(folder) == first
    assert [each.detector for each in first.values()] == [detector, other, detector]


def test_a_folder_that_cannot_be_written_to_goes_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    assert len(folder_attributes(folder)) == 3
    assert not (folder / INDEX_NAME).exists()
