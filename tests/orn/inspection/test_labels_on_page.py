"""`orn inspect --html`: the labels beside the frames of a shard."""

from pathlib import Path

import pytest

from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.shard import Shard
from tests.orn.inspection.page.test_write import index_of
from tests.worlds.shards import CUP, blocks, counted, write_shard
from tests.worlds.tables import write_table
from tests.worlds.videos import write_gray


@pytest.fixture
def asked(tmp_path: Path) -> list[str | Path]:
    """What `orn inspect` is called with, for a shard of the videos a and b."""
    rows = ("video,label,split", "a,pour,train", "b,stir,validation", "c,pour,test")
    manifest = write_table(tmp_path, "mine", rows, classes=("pour", "stir"))
    for name in "abc":
        write_gray(tmp_path / "data" / "mine" / "videos" / f"{name}.mp4", 2)
    detections: FrameDetections = blocks((CUP, 0.9, 1, 1, 5, 5), height=8, width=8)
    shard = write_shard(
        tmp_path / "shard-000000.zarr.zip",
        {name: counted([detections], 0) for name in "ab"},
        size=(8, 8),
    )
    return ["inspect", shard, "--dataset", manifest, "--data", tmp_path / "data"]


def test_a_page_has_the_labels_and_begins_with_all_objects(orn, asked, tmp_path) -> None:
    """All that the detection kept."""
    page = tmp_path / "page"
    orn(*asked, "--html", page)
    index = index_of(page / "index.html")
    labels = [[segment[2:] for segment in video["segments"]] for video in index["videos"]]
    assert labels == [[[[0]]], [[[1]]]]
    assert index["least"] == Shard(asked[1]).detector.thresholds["score"] != 0.5
    orn(*asked, "--html", page, "--score-threshold", "0.7")
    assert index_of(page / "index.html")["least"] == 0.7
