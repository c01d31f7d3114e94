"""One shard: what it tells, and what it refuses to open."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.errors import ShardFormatError, ShardNotFoundError
from shared.shards.column import write_group
from shared.shards.shard import Shard
from shared.shards.zarr_zip import ChunkCache, ZarrZip
from tests.shared.shards.conftest import FrameMaker, ShardMaker, columns_of

VIDEOS = {"a": (range(5), np.arange(5) / 10), "b": ((3, 7), (0.5, 0.9)), "c": ((), ())}


@pytest.fixture
def path(tmp_path: Path, write_shard: ShardMaker) -> Path:
    return write_shard(tmp_path / "s.zarr.zip", VIDEOS, failed={"x": "broken"})


def changed(path: Path, **arrays: NDArray[Any] | None) -> Path:
    """The shard with arrays replaced, or left out for None."""
    group = ZarrZip(path, ChunkCache(10**6))
    content = {name: group.rows(name, 0, group.shape(name)[0]) for name in group.names()} | arrays
    target = path.with_name("changed.zarr.zip")
    write_group(
        target,
        columns=columns_of({name: v for name, v in content.items() if v is not None}),
        attributes=group.attributes,
    )
    return target


def test_what_it_tells(path: Path, make_frame: FrameMaker) -> None:
    shard = Shard(path)
    assert shard.num_frames == 7
    assert shard.num_detections == 0 + 1 + 2 + 3 + 0 + 3 + 3
    assert [shard.video_rows(video) for video in "abc"] == [(0, 5), (5, 7), (7, 7)]
    assert shard.frame_index().tolist() == [0, 1, 2, 3, 4, 3, 7]
    assert shard.frame_video().tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert shard.frame(6).masks == make_frame(7, 3).masks
    assert len(shard.frame(0)) == 0


def test_rows_and_videos_that_are_not_there(path: Path) -> None:
    shard = Shard(path)
    for row in (-1, 7):
        with pytest.raises(ShardFormatError, match=f"has 7 frames, asked for row {row}"):
            shard.frame(row)
    with pytest.raises(ShardNotFoundError, match=r"s\.zarr\.zip: has no video 'x'"):
        shard.video_rows("x")
    with pytest.raises(ShardFormatError, match="has no array 'frames'"):
        shard.array("frames")


def test_opening_reads_no_array(path: Path) -> None:
    cache = ChunkCache(10**6)
    Shard(path, cache)
    assert cache.currsize == 0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"boxes": None}, "array 'boxes' is missing"),
        ({"class_scores": None}, "array 'class_scores' is missing"),
        (
            {"boxes": np.zeros((12, 4))},
            r"array 'boxes': wanted float32 rows of \(4,\), found float64",
        ),
        ({"boxes": np.zeros((12, 5), np.float32)}, r"found float32 rows of \(5,\)"),
        (
            {"scores": np.zeros(11, np.float32)},
            r"'scores': wanted 12 rows \(detections\), found 11",
        ),
        ({"frame_offsets": np.zeros(7, np.int64)}, r"wanted 8 rows \(frames \+ 1\), found 7"),
        ({"rle_offsets": np.zeros(12, np.int64)}, r"wanted 13 rows \(detections \+ 1\), found 12"),
        ({"frame_seconds": np.zeros(8)}, r"'frame_seconds': wanted 7 rows \(frames\), found 8"),
    ],
)
def test_arrays_that_do_not_fit_the_format_are_refused(
    path: Path, arrays: dict[str, NDArray[Any] | None], message: str
) -> None:
    with pytest.raises(ShardFormatError, match=rf"changed\.zarr\.zip: .*{message}"):
        Shard(changed(path, **arrays))


def test_frames_of_a_video_that_lie_apart_are_refused(path: Path) -> None:
    mixed = np.array([0, 0, 0, 0, 1, 1, 1], np.int32)
    with pytest.raises(ShardFormatError, match="'a': wanted its 5 frames side by side, found 4"):
        Shard(changed(path, frame_video=mixed)).video_rows("a")


@pytest.mark.parametrize("name", ["frame_offsets", "rle_offsets"])
def test_offsets_out_of_range_are_an_error_and_not_other_data(path: Path, name: str) -> None:
    offsets = Shard(path).array(name) + 1000
    with pytest.raises(ShardFormatError, match="rows, asked for"):
        Shard(changed(path, **{name: offsets})).frame(2)
