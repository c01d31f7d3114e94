"""Groups in ZIP files: read back by plain zarr and by rows, refused when damaged or of another
kind."""

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
from zarr.storage import MemoryStore

from orn.shared.errors import ShardFormatError
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
        entries = {(info.compress_type, info.date_time) for info in file.infolist()}
    assert list(found) == sorted(found)
    assert entries == {(zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0))}
    assert found == {name: content.to_bytes() for name, content in members.items()}


def test_a_damaged_chunk_names_shard_and_array(group: Path) -> None:
    content = group.read_bytes()
    with zipfile.ZipFile(group) as file:
        chunk = file.read("table/c/3/0")
    group.write_bytes(content.replace(chunk, chunk[:10] + bytes([chunk[10] ^ 1]) + chunk[11:]))
    assert len(opened(group).rows("table", 0, 36)) == 36
    with pytest.raises(
        ShardFormatError, match=r"group\.zarr\.zip: array 'table': chunk 3 .*damaged"
    ):
        opened(group).rows("table", 30, 40)


@pytest.mark.parametrize("step", [1, 2, 5, 7, 13])
def test_chunks_do_not_depend_on_the_pieces(step: int) -> None:
    (wanted,) = columns_of({"table": ARRAYS["table"]}, chunk_bytes=CHUNK_BYTES).values()
    (found,) = columns_of({"table": ARRAYS["table"][:0]}, chunk_bytes=CHUNK_BYTES).values()
    for start in range(0, 100, step):
        found.add(ARRAYS["table"][start : start + step])
    assert found.chunks() == wanted.chunks()
