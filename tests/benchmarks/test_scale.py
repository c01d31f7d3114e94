"""`orn bench scale` with few videos."""

import json
from pathlib import Path

from click.testing import CliRunner

from shared.cli import orn
from shared.manifests.load import load_dataset


def test_a_small_folder_is_made_and_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    arguments = ["--videos", "21", "--per-shard", "4", "--folder", str(folder), "--json"]
    result = CliRunner().invoke(orn, ["bench", "scale", *arguments])
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["videos"], found["shards"]) == (21, 6)
    assert len(list((folder / "shards").glob("shard-*.zarr.zip"))) == 6
    for name in ("ours", "reference", "plan_again", "manifest", "shards", "shards_again"):
        assert found[f"{name}_seconds"] > 0
    dataset = load_dataset("vlog", folder / "data")
    assert len(dataset.videos) == len(dataset.segments) == 21
