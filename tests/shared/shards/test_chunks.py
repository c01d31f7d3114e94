"""Rows of arrays equal slices, whatever the cache."""

from pathlib import Path

import numpy as np
import pytest

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
