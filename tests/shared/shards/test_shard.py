"""One shard: what it tells, and what it refuses to open."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from orn import open_shard
from orn.shared.errors import ShardFormatError, ShardNotFoundError
from orn.shared.inspect.findings import findings
from orn.shared.shards.schema import MOST_ROWS
from orn.shared.shards.shard import Shard
from orn.shared.shards.zarr_zip import ChunkCache
from tests.shared.shards.conftest import with_arrays, write_drawn
from tests.worlds.shards import drawn_detections

VIDEOS = {"a": (range(5), np.arange(5) / 10), "b": ((3, 7), (0.5, 0.9)), "c": ((), ())}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_drawn(tmp_path / "s.zarr.zip", VIDEOS, failed={"x": "broken"})


def test_what_it_tells(path: Path) -> None:
    shard = Shard(path)
    assert shard.num_frames == 7
    assert shard.num_detections == 0 + 1 + 2 + 3 + 0 + 3 + 3
    assert [shard.video_rows(video) for video in "abc"] == [(0, 5), (5, 7), (7, 7)]
    assert shard.frame_index().tolist() == [0, 1, 2, 3, 4, 3, 7]
    assert shard.frame_video().tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert shard.frame(6).masks == drawn_detections(7, 3).masks
    assert len(shard.frame(0)) == 0


def test_it_behaves_as_a_collection_of_frames(path: Path) -> None:
    shard = open_shard(str(path))
    frames = list(shard.frames())
    assert len(shard) == len(list(shard)) == 7
    assert [frame.video.id for frame in frames] == ["a"] * 5 + ["b"] * 2
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4, 3, 7]
    assert [frame.seconds for frame in frames] == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9]
    assert frames[6].detections.masks == drawn_detections(7, 3).masks
    assert frames[6].detections.mask_arrays().shape == (3, 12, 17)
    assert [frame.index for frame in shard["b"]] == [3, 7]
    assert shard["c"] == []
    assert "b" in shard
    assert "x" not in shard
    for wrong in ("x", 3):
        with pytest.raises(ShardNotFoundError, match=rf"3 videos, such as 'a', got {wrong!r}"):
            shard[wrong]


def test_it_is_told_in_a_line(path: Path) -> None:
    shard = Shard(path)
    assert repr(shard) == f"<Shard {path}: 3 videos, 7 frames, 12 detections, 1 failed>"
    assert repr(shard["b"][1]) == "<ShardFrame 7 of 'b' at 0.900 s: 3 detections>"


def test_rows_and_videos_that_are_not_there(path: Path) -> None:
    shard = Shard(path)
    for row in (-1, 7):
        with pytest.raises(ShardFormatError, match=f"has 7 frames, asked for row {row}"):
            shard.frame(row)
    with pytest.raises(ShardNotFoundError, match=r"s\.zarr\.zip: .* got 'x'"):
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
        ({"boxes": None}, "'boxes' is missing"),
        ({"class_scores": None}, "'class_scores' is missing"),
        ({"boxes": np.zeros((12, 4))}, r"'boxes': .* of \(4,\), found float64"),
        ({"boxes": np.zeros((12, 5), np.float32)}, r"found float32 rows of \(5,\)"),
        ({"scores": np.zeros(11, np.float32)}, "'scores': wanted 12 .*, found 11"),
        ({"frame_offsets": np.zeros(7, np.int64)}, "wanted 8 .*, found 7"),
        ({"rle_offsets": np.zeros(12, np.int64)}, "wanted 13 .*, found 12"),
        ({"frame_seconds": np.zeros(8)}, "'frame_seconds': wanted 7 .*, found 8"),
    ],
)
def test_arrays_that_do_not_fit_the_format_are_refused(
    path: Path, arrays: dict[str, NDArray[Any] | None], message: str
) -> None:
    with pytest.raises(ShardFormatError, match=rf"changed\.zarr\.zip: .*{message}"):
        Shard(with_arrays(path, **arrays))


def test_frames_of_a_video_that_lie_apart_are_refused(path: Path) -> None:
    mixed = np.array([0, 0, 0, 0, 1, 1, 1], np.int32)
    with pytest.raises(ShardFormatError, match="'a': wanted its 5 frames side by side, found 4"):
        Shard(with_arrays(path, frame_video=mixed)).video_rows("a")


@pytest.mark.parametrize(
    ("row", "seconds", "message"),
    [(3, np.nan, "nan s after 0.2 s"), (0, np.inf, "inf s"), (4, 0.3, "0.3 s after 0.3 s")],
)
def test_times_that_are_none_or_turn_back_are_refused(
    path: Path, row: int, seconds: float, message: str
) -> None:
    times = Shard(path).array("frame_seconds").copy()
    times[row] = seconds
    shard = Shard(with_arrays(path, frame_seconds=times))
    for read in (shard.frame_seconds, lambda: list(shard.frames()), lambda: findings(shard)):
        with pytest.raises(ShardFormatError, match=rf"'frame_seconds': row {row}: .*{message}"):
            read()


def test_a_frame_of_no_video_is_an_error(path: Path) -> None:
    for number in (2**31 - 1, -1, 3):
        videos = np.array([0, 0, number, 0, 0, 1, 1], np.int32)
        message = rf"array 'frame_video': row 2: wanted one of 3 videos, found {number}"
        with pytest.raises(ShardFormatError, match=message):
            Shard(with_arrays(path, frame_video=videos)).frame(2)


NO_DETECTION = [
    ("boxes", (3, 0), np.nan, "boxes: wanted finite x1 <= x2 and y1 <= y2, found "),
    ("labels", 3, 200, "labels: wanted classes 0..79, found 200"),
    ("frame_offsets", 4, 2, "wanted at most 10,000 detections, found -1"),
    ("rle_offsets", 4, 1, "wanted masks of .* in their order, found bytes "),
]
BREAKS_A_RULE = [
    ("scores", 3, np.nan, "scores of detection 0: wanted 0 to 1, found nan"),
    ("rle", slice(None), 48, "masks of detection 0: wanted 12 x 17 = 204 pixels, found 0"),
]


@pytest.mark.parametrize(("name", "place", "value", "message"), NO_DETECTION + BREAKS_A_RULE)
def test_what_is_no_detection_names_shard_video_and_frame(
    path: Path, name: str, place: Any, value: Any, message: str
) -> None:
    assert Shard(path).checked_frame(3).masks == Shard(path).frame(3).masks
    values = Shard(path).array(name).copy()
    values[place] = value
    shard = Shard(with_arrays(path, **{name: values}))
    is_read_as_it_is = (name, place, value, message) in BREAKS_A_RULE
    for read in [shard.checked_frame, *[shard.frame] * (not is_read_as_it_is)]:
        with pytest.raises(
            ShardFormatError, match=rf"changed\.zarr\.zip: .*'a' frame 3: {message}"
        ):
            read(3)


def test_a_shard_of_too_many_frames_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MOST_ROWS, "detections", 5)
    with pytest.raises(ShardFormatError, match="wanted at most 5 detections, found 12"):
        Shard(path)
    monkeypatch.setattr("orn.shared.shards.shard.MOST_FRAME_DETECTIONS", 2)
    monkeypatch.setitem(MOST_ROWS, "detections", 99)
    with pytest.raises(ShardFormatError, match="frame 3: wanted at most 2 detections, found 3"):
        Shard(path).frame(3)
