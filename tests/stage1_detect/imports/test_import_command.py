"""`orn import-objects`: from released files to shards that training can use."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard_format import UNKNOWN_SOURCE
from tests.stage1_detect.imports.conftest import BLOCK, Found, block_mask, write_authors, write_epic
from tests.worlds.tables import counted_videos


def test_every_kind_of_file_is_reported(convert: Any, tmp_path: Path) -> None:
    counted_videos(tmp_path, {"a": 3, "Deep/b": 3, "c": 3}, absent=["gone", "d"])
    masks = tmp_path / "masks"
    for name in ("a/clip", "deep/b/clip", "c/clip", "C", "stranger", "gone", "DEEP/B"):
        write_authors(masks / f"{name}.pkl", [[BLOCK], []])
    (masks / "d.pkl").write_bytes(b"cos\nsystem\n.")
    (masks / "deep").rename(tmp_path / "elsewhere")
    (masks / "deep").symlink_to(tmp_path / "elsewhere")
    result = convert("--format", "authors", "--json", exit_code=3)
    report = result.json
    assert report["matched"] == 4
    names = ("C", "DEEP/B", "deep/b/clip", "stranger")
    assert report["unmatched"] == [str(masks / f"{name}.pkl") for name in names]
    assert report["ambiguous"] == ["Deep/b"]
    (unreadable,) = report["failed"]
    assert unreadable["id"] == "d"
    assert "os.system" in unreadable["reason"]
    assert (report["without_video"], report["without_objects"]) == (["gone", "d"], 1)
    assert json.loads((tmp_path / "shards" / "job.json").read_text())["matched"] == 4
    shards = DetectionFolder(tmp_path / "shards")
    assert shards.entry("gone").source_digest == UNKNOWN_SOURCE
    assert shards.entry("a").source_digest.startswith("sha256:")
    assert shards.failed[0].reason.startswith("d.pkl: the file is not one of the released masks")
    again = convert("--format", "authors", exit_code=3)
    for words in ("stranger.pkl", "os.system", "--retry-failed"):
        assert words in again.stdout
    assert "2 videos have no file (gone, d)" in again.stderr


@pytest.mark.parametrize("form", ["authors", "csv"])
def test_a_source_that_grows_or_changes(convert: Any, tmp_path: Path, form: str) -> None:
    """New videos get new shards; those with other objects alone are imported again. The order of
    rows is no change, and objects that are gone are kept."""
    counted_videos(tmp_path, {name: 3 for name in "abc"})
    masks = tmp_path / "masks"
    masks.mkdir()

    def objects(**numbers: int) -> None:
        for path in masks.glob("*.pkl"):
            path.unlink()
        for name, number in numbers.items():
            write_authors(masks / f"{name}.pkl", [[BLOCK] * number])
        rows = [f"{name},0,1,2,3,4,car\n" * number for name, number in numbers.items()]
        (masks / "boxes.csv").write_text("video,frame,x1,y1,x2,y2,class\n" + "".join(rows))

    imported = partial(convert, "--format", form)
    objects(a=1, b=1)
    assert imported("--json").json["total_detections"] == 2
    first = tmp_path / "shards" / "shard-000000.zarr.zip"
    before = first.read_bytes()
    objects(a=1, b=1, c=1)
    grown = imported("--json")
    assert (grown.json["units"], grown.json["detections"]) == (2, 1)
    assert "changed" not in grown.stderr and first.read_bytes() == before
    objects(a=1, b=2, c=1)
    again = imported("--json")
    assert "1 video has changed since the shards were written (b); only" in again.stderr
    assert again.json["total_detections"] == 4
    head, *rows = (masks / "boxes.csv").read_text().splitlines()
    (masks / "boxes.csv").write_text("\n".join([head, *rows[::-1]]) + "\n")
    assert "changed" not in imported().stderr
    before = first.read_bytes()
    objects(b=2, c=1)
    again = imported("--json")
    assert again.json["gone"] == ["a"] and "(a), which are kept" in again.stderr
    assert first.read_bytes() == before


def test_epics_masks_at_the_rates_of_the_published_frames(convert: Any, tmp_path: Path) -> None:
    counted_videos(tmp_path, {}, absent=["P01_01", "P27_103"])
    one: Found = ((0.1, 0.2, 0.5, 0.75), block_mask(10, 20, 50, 75), 0.75, 3)
    for video_id in ("P01_01", "P27_103"):
        path = tmp_path / "masks" / video_id[:3] / f"{video_id}.pkl"
        write_epic(path, [(1, [one]), (31, [one, one])])
    convert("--format", "epic100")
    shards = DetectionFolder(tmp_path / "shards")
    assert shards.video("P01_01").seconds.tolist() == [0, 0.5]
    assert shards.video("P01_01").frame_indices.tolist() == [0, 30]
    assert shards.video("P27_103").seconds.tolist() == [0, 0.6]
    np.testing.assert_allclose(shards.video("P01_01").frame(1).boxes, [[10, 20, 50, 75]] * 2)
    convert("--format", "epic100", "--rate", 25, "--fresh")
    assert DetectionFolder(tmp_path / "shards").video("P01_01").seconds.tolist() == [0, 1.2]


def test_a_rate_that_cannot_be_known_is_asked_for(convert: Any, tmp_path: Path) -> None:
    counted_videos(tmp_path, {}, absent=["kitchen"])
    write_epic(tmp_path / "masks" / "kitchen.pkl", [(1, [])])
    assert "video 'kitchen'" in convert("--format", "epic100", exit_code=2).stderr
    convert("--format", "epic100", "--rate", 30)
