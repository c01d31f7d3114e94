"""Rows of arrays equal slices, members are those that zarr writes, and damage is named."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from orn.shared.errors import ShardFormatError
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_record import ChunkCache
from orn.shared.shards.writer import write_group
from tests.shared.shards.conftest import arrays_in, columns_of, write_drawn

CHUNK_BYTES = 200


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A shard whose arrays have several chunks."""
    whole = write_drawn(tmp_path / "whole.zip", {"a": (range(40), np.arange(40) / 10)})
    columns = columns_of(arrays_in(whole), chunk_bytes=CHUNK_BYTES)
    attributes = Shard(whole).arrays.record.attributes.to_json()
    write_group(tmp_path / "s.zarr.zip", columns=columns, attributes=attributes)
    return tmp_path / "s.zarr.zip"


@pytest.mark.parametrize("cache_bytes", [10**6, 300, 1])
def test_rows_equal_slices(path: Path, cache_bytes: int) -> None:
    arrays = Shard(path, ChunkCache(cache_bytes)).arrays
    whole = arrays_in(path.with_name("whole.zip"))
    assert set(arrays) == set(whole)
    for name, values in whole.items():
        assert arrays.num_rows(name) == len(values)
        step = max(1, len(values) // 12)
        for start in range(0, len(values) + 1, step):
            for stop in range(start, len(values) + 1, step):
                rows = arrays.rows(name, start, stop)
                np.testing.assert_array_equal(rows, values[start:stop])
                assert (rows.dtype, rows.shape[1:]) == (values.dtype, values.shape[1:])
    for start, stop in ((-1, 2), (3, 2), (0, 41)):
        with pytest.raises(ShardFormatError, match=rf"'frame_index': .* 40 .*\[{start}, {stop}\)"):
            arrays.rows("frame_index", start, stop)


def test_members_are_those_that_zarr_would_write(path: Path) -> None:
    members: dict[str, Any] = {}
    attributes = Shard(path).arrays.record.attributes.to_json()
    expected = zarr.create_group(MemoryStore(members), attributes=attributes)
    for name, values in arrays_in(path).items():
        row_bytes = values.dtype.itemsize * int(np.prod(values.shape[1:]))
        array = expected.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=(max(1, min(len(values), CHUNK_BYTES // row_bytes)), *values.shape[1:]),
            compressors=[ZstdCodec(level=9), Crc32cCodec()],
            dimension_names=tuple("abc"[: values.ndim]),
            config={"write_empty_chunks": True},
        )
        array[...] = values
    with zipfile.ZipFile(path) as file:
        members_read = {name: file.read(name) for name in file.namelist()}
        entries = {(info.compress_type, info.date_time) for info in file.infolist()}
    assert entries == {(zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0))}
    assert members_read == {name: content.to_bytes() for name, content in members.items()}
