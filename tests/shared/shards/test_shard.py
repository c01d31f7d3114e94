"""One shard: what it tells, and what it refuses to open."""

from pathlib import Path

import numpy as np
import pytest

from orn import open_shard
from orn.shared.errors import ShardFormatError
from orn.shared.shards.shard import Shard
from tests.shared.shards.conftest import write_drawn
from tests.worlds.shards import drawn_detections

VIDEOS = {"a": (range(5), np.arange(5) / 10), "b": ((3, 7), (0.5, 0.9)), "c": ((), ())}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    return write_drawn(folder / "s.zarr.zip", VIDEOS, failed={"x": "broken"})


def test_it_behaves_as_a_collection_of_frames(made: Path) -> None:
    shard = open_shard(str(made))
    frames = list(shard.frames())
    assert len(shard) == len(list(shard)) == shard.num_frames == 7
    assert [frame.video.id for frame in frames] == ["a"] * 5 + ["b"] * 2
    assert [frame.index for frame in frames] == shard.frame_index().tolist()
    assert shard.frame_index().tolist() == [0, 1, 2, 3, 4, 3, 7]
    assert shard.frame_video().tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert [frame.seconds for frame in frames] == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9]
    assert frames[6].detections.masks == drawn_detections(7, 3).masks
    assert frames[6].detections.mask_arrays().shape == (3, 12, 17)
    assert [frame.index for frame in shard["b"]] == [3, 7]
    assert [shard.video_rows(video) for video in "abc"] == [(0, 5), (5, 7), (7, 7)]
    assert (shard["c"], len(shard.frame(0))) == ([], 0)
    assert "b" in shard and "x" not in shard


def test_a_frame_of_too_many_detections_is_refused(made, monkeypatch) -> None:
    monkeypatch.setattr("orn.shared.shards.shard.MOST_FRAME_DETECTIONS", 2)
    with pytest.raises(ShardFormatError, match=r"'frame_offsets': expected at most 2 .*, got 3"):
        Shard(made).frame(0)
