"""Groups in ZIP files: read back by plain zarr and by rows, refused when damaged or of another
kind."""

import json
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore, ZipStore

from orn.shared.errors import ShardFormatError, ShardNotFoundError
from orn.shared.shards.column import write_group
from orn.shared.shards.zarr_zip import ChunkCache, ZarrZip, read_layout
from tests.shared.shards.conftest import columns_of

ARRAYS: dict[str, NDArray[Any]] = {
    "empty": np.zeros((0, 4), np.float32),
    "one": np.array([7], np.uint8),
    "table": np.arange(400, dtype=np.float32).reshape(100, 4),
    "zeros": np.zeros(90, np.int64),
    "half": np.linspace(0, 1, 37).astype(np.float16),
}
CHUNK_BYTES = 200
AXES = {name: tuple("abc"[: values.ndim]) for name, values in ARRAYS.items()}


def test_reading_does_not_import_zarr() -> None:
    code = "import orn.shared.shards.reader, sys; print('zarr' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """A group whose arrays have several chunks."""
    return written(tmp_path / "group.zarr.zip")


def written(path: Path) -> Path:
    columns = columns_of(ARRAYS, chunk_bytes=CHUNK_BYTES)
    write_group(path, columns=columns, attributes={"format": "x", "list": [1, "—"]})
    return path


def opened(path: Path) -> ZarrZip:
    return ZarrZip(path, ChunkCache(10**6))


def rewritten(path: Path, changes: dict[str, bytes | None]) -> Path:
    """The file with members replaced, or left out for None."""
    target = path.with_name("changed.zarr.zip")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as file:
        for name in source.namelist():
            content = changes.get(name, source.read(name))
            if content is not None:
                file.writestr(name, content)
    return target


def test_plain_zarr_reads_it(group: Path) -> None:
    with ZipStore(group, mode="r") as store:
        found = zarr.open_group(store, mode="r")
        assert dict(found.attrs) == {"format": "x", "list": [1, "—"]}
        assert sorted(found.array_keys()) == sorted(ARRAYS)
        for name, values in ARRAYS.items():
            array = found[name]
            assert isinstance(array, zarr.Array)
            np.testing.assert_array_equal(array[...], values)
            assert array.dtype == values.dtype
            assert array.metadata.to_dict()["dimension_names"] == AXES[name]


def test_rows_equal_slices(group: Path) -> None:
    file = opened(group)
    assert set(file.layout.arrays) == set(ARRAYS)
    assert read_layout(group)[0] == {"format": "x", "list": [1, "—"]}
    for name, values in ARRAYS.items():
        array = file.layout.arrays[name]
        assert (array.num_rows, *array.row) == values.shape
        for start in range(0, len(values) + 1, 3):
            for stop in range(start, len(values) + 1, 5):
                found = file.rows(name, start, stop)
                np.testing.assert_array_equal(found, values[start:stop])
                assert found.dtype == values.dtype


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 101)])
def test_rows_that_are_not_there_are_refused(group: Path, start: int, stop: int) -> None:
    message = f"array 'table' has 100 rows, asked for [{start}, {stop})"
    with pytest.raises(ShardFormatError, match=re.escape(message)):
        opened(group).rows("table", start, stop)


def test_equal_input_gives_equal_bytes(group: Path, tmp_path: Path) -> None:
    assert written(tmp_path / "again.zip").read_bytes() == group.read_bytes()


def test_members_are_those_that_zarr_would_write(group: Path) -> None:
    members: dict[str, Any] = {}
    attributes = {"format": "x", "list": [1, "—"]}
    wanted = zarr.create_group(MemoryStore(members), attributes=attributes)
    for name, values in ARRAYS.items():
        row_bytes = values.dtype.itemsize * int(np.prod(values.shape[1:]))
        array = wanted.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=(max(1, min(len(values), CHUNK_BYTES // row_bytes)), *values.shape[1:]),
            compressors=[ZstdCodec(level=9), Crc32cCodec()],
            dimension_names=AXES[name],
            config={"write_empty_chunks": True},
        )
        array[...] = values
    with zipfile.ZipFile(group) as file:
        found = {name: file.read(name) for name in file.namelist()}
    assert found == {name: content.to_bytes() for name, content in members.items()}


def test_members_are_stored_in_order_without_the_time_of_day(group: Path) -> None:
    with zipfile.ZipFile(group) as file:
        members = file.infolist()
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert [member.filename for member in members] == sorted(m.filename for m in members)


def test_only_the_chunks_asked_for_are_read(group: Path) -> None:
    cache = ChunkCache(10**6)
    file = ZarrZip(group, cache)
    file.rows("table", 50, 51)
    assert cache.currsize == 12 * 16  # 200 bytes hold 12 rows of 16
    file.rows("table", 59, 61)
    assert cache.currsize == 2 * 12 * 16


def test_a_copy_reads_for_itself(group: Path) -> None:
    cache = ChunkCache(10**6)
    file = ZarrZip(group, cache)
    file.rows("table", 0, 100)
    copy, copied_cache = pickle.loads(pickle.dumps((file, cache)))
    assert (copied_cache.currsize, copied_cache.maxsize) == (0, 10**6)
    np.testing.assert_array_equal(copy.rows("table", 3, 9), ARRAYS["table"][3:9])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (opened, read_layout):
        with pytest.raises(ShardNotFoundError, match=r"absent\.zarr\.zip: no such shard"):
            read(tmp_path / "absent.zarr.zip")


def test_a_damaged_chunk_names_shard_and_array(group: Path) -> None:
    with zipfile.ZipFile(group) as file:
        chunk = bytearray(file.read("table/c/3/0"))
    chunk[10] ^= 1
    damaged = opened(rewritten(group, {"table/c/3/0": bytes(chunk)}))
    assert len(damaged.rows("table", 0, 36)) == 36
    message = (
        r"changed\.zarr\.zip: array 'table': chunk 3 is damaged \(its checksum does not match\)"
    )
    with pytest.raises(ShardFormatError, match=message):
        damaged.rows("table", 30, 40)


def test_a_lost_chunk_does_not_pass_for_zeros(group: Path) -> None:
    with pytest.raises(ShardFormatError, match=r"array 'zeros' does not follow .*zeros/c/1"):
        opened(rewritten(group, {"zeros/c/1": None}))


@pytest.mark.parametrize(
    ("member", "change", "message"),
    [
        (
            "table/zarr.json",
            {"codecs": [{"name": "bytes"}]},
            "array 'table': wanted the codecs bytes, zstd",
        ),
        ("table/zarr.json", {"shape": None}, "array 'table' does not follow"),
        ("table/zarr.json", {"data_type": "no type"}, "array 'table' does not follow"),
        ("zarr.json", {"zarr_format": 2}, "wanted a group of Zarr 3, found group of Zarr 2"),
        ("zarr.json", {"node_type": "array"}, "wanted a group of Zarr 3, found array of Zarr 3"),
    ],
)
def test_other_metadata_is_refused(
    group: Path, member: str, change: dict[str, Any], message: str
) -> None:
    with zipfile.ZipFile(group) as file:
        document = json.loads(file.read(member)) | change
    changed = rewritten(group, {member: json.dumps(document).encode()})
    with pytest.raises(ShardFormatError, match=message):
        opened(changed)


def test_a_zip_file_without_a_group_is_refused(group: Path) -> None:
    with pytest.raises(
        ShardFormatError, match=r"wanted a group of Zarr 3, found no readable zarr\.json"
    ):
        read_layout(rewritten(group, {"zarr.json": None}))


def test_compressed_members_are_refused(group: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.zarr.zip"
    with (
        zipfile.ZipFile(group) as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file,
    ):
        for name in source.namelist():
            file.writestr(name, source.read(name))
    with pytest.raises(ShardFormatError, match="wanted stored members of the ZIP file"):
        opened(packed)
