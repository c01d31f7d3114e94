"""`orn bench shard-size`, on files made here and on the real ones."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from orn.shared.cli import orn
from tests.stage1_detect.imports.conftest import block_mask, write_authors

BLOCK = ((10, 20, 50, 75), block_mask(10, 20, 50, 75), 0.75, 3)


def test_bytes_of_both_sides(tmp_path: Path) -> None:
    path = write_authors(tmp_path / "masks" / "a, b" / "clip.pkl", [[BLOCK] * 3, []] * 20)
    out = tmp_path / "result.json"
    arguments = ["bench", "shard-size", "--masks", str(tmp_path / "masks"), "--out", str(out)]
    result = CliRunner().invoke(orn, [*arguments, "--json"])
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert json.loads(out.read_text()) == found
    assert found["reference_bytes"] == path.stat().st_size
    assert found["ratio"] == pytest.approx(path.stat().st_size / found["ours_bytes"], abs=1e-4)
    assert (found["files"], found["frames"], found["detections"]) == (1, 40, 60)


def test_a_file_that_cannot_be_read_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n.")
    result = CliRunner().invoke(orn, ["bench", "shard-size", "--masks", str(tmp_path)])
    assert result.exit_code == 1
    assert "refused" in result.stderr


@pytest.mark.real_data
def test_real_masks_take_at_most_two_fifths(sample_data: Path) -> None:
    masks = sample_data / "vlog" / "masks" / "preds_100x100_50"
    result = CliRunner().invoke(orn, ["bench", "shard-size", "--masks", str(masks), "--json"])
    found = json.loads(result.stdout)
    assert (found["frames"], found["detections"]) == (836, 2478)
    assert found["share"] <= 0.4
