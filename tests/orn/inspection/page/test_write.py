"""Pages as files."""

import json
import re
from pathlib import Path

from orn.inspection.page.write import write_page
from orn.inspection.shard_videos import NoPictures
from orn.shared.shards.shard import Shard
from tests.orn.inspection.page.conftest import VIDEOS


def index_of(page: Path) -> dict:
    index = re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert index
    return json.loads(index[1])


def test_a_folder_is_replaced_as_a_whole(looked_at: Shard, tmp_path: Path) -> None:
    for _ in range(2):
        report = write_page(looked_at, NoPictures("why"), tmp_path / "out")
        (folder,) = (tmp_path / "out").glob("frames-*")
        assert {path.name for path in (tmp_path / "out").iterdir()} == {folder.name, "index.html"}
        assert index_of(report)["folder"] == folder.name


def test_every_frame_has_its_own_detections(looked_at: Shard, tmp_path: Path) -> None:
    folder = write_page(looked_at, NoPictures("why"), tmp_path / "out").parent
    texts = [file.read_text() for file in sorted(folder.glob("frames-*/*.js"))]
    chunks = [text[text.index("`") + 1 : text.rindex("`")] for text in texts]
    frames_read = [json.loads(line)[1] for chunk in chunks for line in chunk.split("\n")]
    expected = [frame for frames in VIDEOS.values() for frame in frames]
    for rows, detections in zip(frames_read, expected, strict=True):
        assert [row[0] for row in rows] == detections.labels.tolist()
        assert [row[2:6] for row in rows] == detections.boxes.tolist()
