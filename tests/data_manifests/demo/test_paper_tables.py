"""`orn demo-tables`: which commands it gives, and a short form of all of them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from data_manifests.demo.paper_tables import TablesRequest, run_tables, table_steps
from shared.cli import orn


def test_full_tables_have_a_test_part_of_a_thousand_films_and_three_seeds() -> None:
    steps = table_steps(TablesRequest(dataset="demo", size="full"))
    commands = {step.name: " ".join(step.arguments) for step in steps}
    assert "--films 4000,400,1000" in commands["demo world"]
    assert "--seeds 3" in commands["table 2"]
    assert commands["table 2"].endswith("--test")
    assert [name for name in commands if name.startswith("reverse")] == [
        "reverse 0",
        "reverse 1",
        "reverse 2",
    ]


def test_systems_may_be_chosen() -> None:
    request = TablesRequest(dataset="demo-touch", size="full", systems=("coco-intra",))
    names = [step.name for step in table_steps(request)]
    assert names[-2:] == ["leaks", "table 2"]  # films of touches have no mirrored labels
    every = table_steps(TablesRequest(dataset="demo", size="full", systems=()))
    assert "--systems" not in next(step for step in every if step.name == "table 2").arguments


def test_every_command_is_one_that_orn_knows() -> None:
    for step in table_steps(TablesRequest(dataset="demo", size="short")):
        result = CliRunner().invoke(orn, [*step.arguments, "--help"])
        assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_the_short_form_runs_and_is_done_then(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    request = TablesRequest(
        dataset="demo", size="short", systems=("activity-head", "orn"), num_seeds=1, jobs=2
    )
    reports = run_tables(request)
    assert [path.name for path in reports] == [
        "leaks-validation.md",
        "table-2-test.md",
        "table-5-test.md",
    ]
    report = json.loads(reports[1].with_suffix(".json").read_text())
    assert [row["system"] for row in report["systems"]] == ["activity-head", "orn"]
    assert report["num_segments"] == 24
    capfd.readouterr()
    assert run_tables(request) == reports
    assert capfd.readouterr().err.count("done before") == len(table_steps(request))
