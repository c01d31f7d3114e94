"""Columns: cut into chunks as they fill, whatever the pieces they come in, and taken back."""

from typing import Any

import google_crc32c
import numpy as np
import pytest
from numcodecs import Zstd
from numpy.typing import NDArray

from orn.shared.shards.column import Column
from orn.shared.shards.schema import ArraySpec

PAIRS = ArraySpec(dtype=np.dtype("<i2"), row=(2,), axes=("row", "pair"), counts="rows")
ROWS = np.arange(26, dtype=np.int16).reshape(13, 2)


def column() -> Column:
    """Chunks of 5 rows of 4 bytes; 3 bytes of a chunk are not used."""
    return Column(PAIRS, chunk_bytes=23)


def decoded(chunk: bytes) -> NDArray[Any]:
    assert google_crc32c.value(chunk[:-4]) == int.from_bytes(chunk[-4:], "little")
    return np.frombuffer(Zstd().decode(chunk[:-4]), dtype="<i2").reshape(-1, 2)


@pytest.mark.parametrize("step", [1, 2, 5, 7, 13])
def test_chunks_do_not_depend_on_the_pieces(step: int) -> None:
    found = column()
    for start in range(0, 13, step):
        found.add(ROWS[start : start + step])
        found.add(ROWS[:0])
    assert (len(found), found.rows_per_chunk) == (13, 5)
    first, second, third = map(decoded, found.chunks())
    assert first.tolist() == ROWS[:5].tolist()
    assert second.tolist() == ROWS[5:10].tolist()
    assert third.tolist() == [*ROWS[10:].tolist(), [0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("num_rows", "rows_per_chunk", "num_chunks"),
    [(0, 1, 0), (1, 1, 1), (4, 4, 1), (5, 5, 1), (6, 5, 2)],
)
def test_an_array_that_fits_has_one_chunk_of_its_length(
    num_rows: int, rows_per_chunk: int, num_chunks: int
) -> None:
    found = column()
    found.add(ROWS[:num_rows])
    assert found.rows_per_chunk == rows_per_chunk
    assert [len(decoded(chunk)) for chunk in found.chunks()] == [rows_per_chunk] * num_chunks


@pytest.mark.parametrize("before", [0, 3, 5, 7])
@pytest.mark.parametrize("added", [0, 1, 2, 6])
def test_what_was_taken_back_leaves_no_trace(before: int, added: int) -> None:
    wanted, found = column(), column()
    wanted.add(ROWS[:before])
    found.add(ROWS[:before])
    mark = found.mark()
    found.add(ROWS[-added:] if added else [])
    found.take_back(mark)
    assert (len(found), found.chunks()) == (before, wanted.chunks())
    wanted.add(ROWS[before:])
    found.add(ROWS[before:])
    assert found.chunks() == wanted.chunks()


def test_a_row_larger_than_a_chunk_has_its_own() -> None:
    found = Column(PAIRS, chunk_bytes=3)
    found.add(ROWS[:2])
    assert [decoded(chunk).tolist() for chunk in found.chunks()] == [[[0, 1]], [[2, 3]]]
