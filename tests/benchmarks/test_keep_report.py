"""Reports are kept with their results, of committed code only."""

import json

import pytest
from click.testing import CliRunner

from orn.benchmarks.keep_report import keep


def test_a_report_is_kept_with_its_results(tmp_path) -> None:
    (tmp_path / "table.json").write_text(json.dumps({"commits": ["abc"], "mean": 1.5}))
    (tmp_path / "table.csv").write_text("run,result\n")
    out = tmp_path / "kept" / "table_machine.json"
    arguments = [str(out), str(tmp_path / "table.json"), "--command", "orn ablate demo"]
    result = CliRunner().invoke(keep, [*arguments, "--minutes", "3"])
    assert result.exit_code == 0, result.output
    kept = json.loads(out.read_text())
    assert (kept["report"]["mean"], kept["minutes"]) == (1.5, 3.0)
    assert kept["commands"] == ["orn ablate demo"]
    assert out.with_suffix(".csv").read_text() == "run,result\n"


@pytest.mark.parametrize("commit", ["abc-dirty", "", "abc abc-dirty"])
def test_a_report_of_code_that_nobody_can_get_is_refused(tmp_path, commit) -> None:
    (tmp_path / "table.json").write_text(json.dumps({"commits": ["abc", commit]}))
    result = CliRunner().invoke(keep, [str(tmp_path / "out.json"), str(tmp_path / "table.json")])
    assert result.exit_code == 2
    assert "wanted runs of code that is committed" in " ".join(result.output.split())
    assert not (tmp_path / "out.json").exists()
