"""`orn bench scale` with few videos."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from orn.shared.cli import orn
from orn.shared.manifests.load import load_dataset


@pytest.mark.parametrize("clips", [0, pytest.param(16, marks=pytest.mark.slow)])
def test_a_small_folder_is_made_and_looked_at(tmp_path: Path, clips: int) -> None:
    folder = tmp_path / "made"
    sizes = ["--videos", "24", "--shards", "8", "--clips", f"{clips}"]
    result = CliRunner().invoke(orn, ["bench", "scale", *sizes, "--folder", str(folder), "--json"])
    assert result.exit_code == 0, result.stderr
    assert "which stay" in result.stderr
    found = json.loads(result.stdout)
    assert (found["videos"], found["shards"]) == ([6, 12, 24], [2, 4, 8])
    assert len(list((folder / "shards").glob("shard-*.zarr.zip"))) == 8
    opening = [f"open_shards{more}" for more in ("", "_again", "_again_slow_storage")]
    for name in ("plan", "plan_again", *opening):
        assert len(found[name]["seconds"]) == len(found[name]["cpu_seconds"]) == 3
        assert found[name]["seconds_growth"] > 0
    assert max(found["cold_clip"]["reads"]) < 40
    if clips:
        assert found["loader_processes"]["clips"] == [8, 8, 16]
        assert found["evaluation"]["clips"] == [16]
    dataset = load_dataset("vlog", folder / "data")
    assert len(dataset.videos) == len(dataset.segments) == 24
