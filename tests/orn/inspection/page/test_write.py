"""Pages as files."""

import json
import re
from pathlib import Path

from orn.inspection.page.write import write_page
from orn.inspection.shard_videos import NoPictures
from orn.shared.shards.shard import Shard


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
