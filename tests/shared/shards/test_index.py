"""The index of a folder of shards: that it spares reading them, and is never believed wrongly."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import ShardFormatError
from shared.shards import index
from shared.shards.index import INDEX_NAME, folder_attributes
from shared.shards.reader import DetectionFolder
from shared.shards.schema import DetectorEntry, ShardAttributes
from tests.bounded import bounded
from tests.shared.shards.conftest import ShardMaker


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
    """Names of the shards whose own attributes were read."""
    names: list[str] = []
    read = index.read_attributes

    def noted(path: Path) -> dict[str, object]:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(index, "read_attributes", noted)
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


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format":"shard-index 1","common":[{}]}'])
def test_a_damaged_index_is_made_anew(folder: Path, reads: list[str], text: str) -> None:
    wanted = folder_attributes(folder)
    (folder / INDEX_NAME).write_text(text)
    assert folder_attributes(folder) == wanted
    assert folder_attributes(folder) == wanted
    assert len(reads) == 6


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
        ("shard-index 2", "shard-index 1"),
    ],
)
def test_an_index_with_wrong_values_is_made_anew(
    folder: Path, reads: list[str], old: str, new: str
) -> None:
    wanted = folder_attributes(folder)
    path = folder / INDEX_NAME
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert folder_attributes(folder) == wanted
    assert len(reads) == 6
    assert path.read_text() == text


def test_an_index_larger_than_the_shards_is_not_read(folder: Path, reads: list[str]) -> None:
    with (folder / INDEX_NAME).open("wb") as file:
        file.truncate(2**40)
    assert bounded(index._load, folder, most_bytes=10_000) == {}
    assert len(folder_attributes(folder)) == 3
    assert (folder / INDEX_NAME).stat().st_size < 2**20


def test_an_index_that_is_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / INDEX_NAME)
    assert bounded(index._load, folder, most_bytes=10_000) == {}


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
