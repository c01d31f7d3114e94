"""What intervals cost, measured on next to nothing."""

import json
from pathlib import Path

from click.testing import CliRunner

from orn.benchmarks.bootstrap import bootstrap


def test_intervals_are_measured_and_kept(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    sizes = ["--segments", "40", "--classes", "7", "--draws", "20"]
    result = CliRunner().invoke(bootstrap, [*sizes, "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0
    (row,) = json.loads(out.read_text())["rows"]
    assert row["classes"] == 7
    assert 0 <= row["top1"]["low"] < row["top1"]["value"] < row["top1"]["high"] <= 1
