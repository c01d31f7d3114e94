"""`orn demo tables`: which commands an experiment consists of, and a short form of all of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from orn.demo.experiments.experiments import EXPERIMENTS, run_tables, table_jobs
from orn.demo.experiments.request import TablesRequest
from orn.shared.cli import orn as command_line
from orn.shared.errors import ConfigError
from orn.stage2_train.ablation.request import AblationRequest, Variant
from orn.stage2_train.recipe import load_recipe

WORLDS = ("demo", "demo-touch", "demo-places", "demo-both")


def check(argv: Sequence[str]) -> None:
    """Fails as `orn` does where a command or an option is unknown."""
    command, words = command_line, list(argv)
    context = click.Context(command)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, argv
        command, words = found, words[1:]
    command.make_context("orn", words)


def options_of(argv: Sequence[str]) -> dict[str, list[str]]:
    """The values of each option, as typed."""
    values: dict[str, list[str]] = {}
    for word, after in zip(argv, (*argv[1:], "--"), strict=True):
        if word.startswith("--"):
            values.setdefault(word, []).extend([] if after.startswith("--") else [after])
    return values


def commands_of(dataset: str = "demo", *experiments: str, **options: Any) -> dict[str, Any]:
    """The options of each command, by name of the job, and its output."""
    jobs = table_jobs(TablesRequest(dataset=dataset, experiments=experiments, **options))
    assert len({job.name for job in jobs}) == len(jobs)
    return {job.name: options_of(job.argv) | {"output": job.output} for job in jobs}


def variants_of(options: dict[str, list[str]]) -> tuple[Variant, ...]:
    variants = tuple(options.get("--variant", ()))
    return AblationRequest(manifest="demo", table="2", variants=variants).variants


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("dataset", WORLDS)
def test_every_experiment_has_commands_of_its_own_and_settings_of_the_recipe(
    dataset, short
) -> None:
    named = tuple(name for name, each in EXPERIMENTS.items() if dataset in each.worlds)
    request = TablesRequest(dataset=dataset, short=short, experiments=named, precision="bf16")
    jobs = table_jobs(request)
    assert len({job.output for job in jobs}) == len(jobs)
    for job in jobs:
        check(job.argv)
        if job.argv[0] not in ("train", "ablate"):
            continue
        options = options_of(job.argv)
        overrides = tuple(options["--set"])
        assert "precision=bf16" in overrides
        load_recipe("demo", num_activities=4, overrides=overrides)
        for variant in variants_of(options):
            for system in variant.systems or options["--systems"][0].split(","):
                own = (*overrides, *variant.settings)
                load_recipe("demo", num_activities=4, overrides=own, system=system)


def test_full_tables_have_a_floor_a_test_part_and_five_seeds() -> None:
    commands = commands_of()
    names = list(commands)
    assert commands["demo world"]["--films"] == ["4000,400,1000"]
    assert commands["demo table2"]["--seeds"] == ["5"] and "--test" in commands["demo table2"]
    assert commands["demo table2"]["--floor"] == [str(commands["demo leaks"]["output"])]
    assert names.index("demo leaks") < names.index("demo table2") < names.index("demo table5")
    backwards = [name for name, each in commands.items() if "--frame-order" in each]
    assert backwards == [f"reverse seed{seed}" for seed in range(5)]
    every = commands_of(systems=("all",))
    assert "--systems" in every["demo table5"] and "--systems" not in every["demo table2"]


@pytest.mark.parametrize(
    ("experiments", "systems", "message"),
    [
        (("table5",), (), "'table5'; choose from table2, heads, steps, detected, relations"),
        ((), ("orn", "orm"), "'orm': .*did you mean 'orn'"),
    ],
)
def test_what_is_not_there_is_refused(experiments, systems, message) -> None:
    with pytest.raises(ConfigError, match=message):
        commands_of("demo-touch", *experiments, systems=systems)


def test_a_dry_run_lists_the_commands_and_writes_nothing(orn, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = orn("demo", "tables", "demo-places", "--dry-run").stdout
    assert text.startswith("to do: orn demo world demo-places --data tables/data --films 4000,")
    described = orn("demo", "tables", "demo-places", "--dry-run", "--json").json
    assert described["folder"] == "tables"
    assert len(described["jobs"]) == len(text.splitlines()) == 6
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_short_form_runs_and_is_done_then(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    request = TablesRequest(
        dataset="demo",
        short=True,
        experiments=("table2", "reversed", "table5", "films", "decoys"),
        systems=("activity-head", "orn"),
        num_seeds=1,
        jobs=2,
    )
    reports = run_tables(request)
    assert [f"{path.parent.name}/{path.name}" for path in reports] == [
        "leaks-demo/leaks-test.md",
        "demo-table2/table-2-test.md",
        "demo-table2/compared-test.md",
        "demo-table5/table-5-test.md",
        "demo-films-24/table-2-test.md",
        "demo-table2/curve-training-films-test.md",
        "leaks-demo-decoy-pairs-0/leaks-test.md",
        "demo-decoy-pairs-0-table2/table-2-test.md",
        "leaks-demo-decoy-pairs-3/leaks-test.md",
        "demo-decoy-pairs-3-table2/table-2-test.md",
        "demo-decoy-pairs-3-table2/curve-decoy-pairs-test.md",
    ]
    curve = json.loads(reports[-1].with_suffix(".json").read_text())
    assert curve["values"] == ["0", "1", "3"]
    report = json.loads(reports[1].with_suffix(".json").read_text())
    assert [row["system"] for row in report["systems"]] == ["activity-head", "orn"]
    floors = {row["floor"] for row in report["systems"]}
    leaks = json.loads(reports[0].with_suffix(".json").read_text())["rows"]
    assert floors == {row["mean"] for row in leaks if row["name"] == "class-counts"}
    run = tmp_path / "tables-short" / "runs" / "demo-table2" / "orn" / "seed0"
    backwards = json.loads((run / "eval-test-reversed.json").read_text())["backwards"]
    assert 0 < backwards["num_segments"] < 24
    capfd.readouterr()
    assert run_tables(request) == reports
    assert capfd.readouterr().err.count("already done") == len(table_jobs(request))
