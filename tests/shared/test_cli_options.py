"""Options that commands share."""

import json
import math
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from orn.shared import cli_options


@click.command()
@cli_options.dataset_argument
@cli_options.data_option
@cli_options.out_option("shards/DATASET")
@cli_options.json_option
@cli_options.seed_option
@cli_options.dry_run_option
@cli_options.set_option
@cli_options.device_option
@cli_options.precision_option("Number format.")
def command(**values: Any) -> None:
    """Print what it was given."""
    click.echo(json.dumps({name: str(value) for name, value in values.items()}))


def given(*arguments: str, env: dict[str, str] | None = None) -> dict[str, str]:
    result = CliRunner().invoke(command, arguments, env=env)
    assert result.exit_code == 0, result.output
    values: dict[str, str] = json.loads(result.output)
    return values


def test_defaults() -> None:
    assert given("vlog", env={"ORN_DATA": ""}) == {
        "dataset": "vlog",
        "data_root": "data",
        "out": "None",
        "as_json": "False",
        "seed": "0",
        "dry_run": "False",
        "overrides": "()",
        "device": "auto",
        "precision": "float32",
    }


def test_data_root_by_option_before_environment() -> None:
    assert given("vlog", env={"ORN_DATA": "/disk"})["data_root"] == str(Path("/disk"))
    values = given("vlog", "--data", "/other", env={"ORN_DATA": "/disk"})
    assert values["data_root"] == str(Path("/other"))


@pytest.mark.parametrize("option", ["--data", "--out"])
def test_an_empty_path_is_not_the_current_folder(option: str) -> None:
    refused = CliRunner().invoke(command, ["vlog", option, ""])
    assert refused.exit_code == 2
    assert f"Invalid value for '{option}'" in refused.output
    assert "expected a path, got an empty text" in refused.output


def test_settings_may_be_repeated() -> None:
    assert given("vlog", "--set", "a=1", "--set", "b=2")["overrides"] == "('a=1', 'b=2')"


def test_one_spelling_of_precisions() -> None:
    assert given("vlog", "--precision", "bf16")["precision"] == "bfloat16"
    assert given("vlog", "--precision", "float16")["precision"] == "float16"  # as plans have it
    refused = CliRunner().invoke(command, ["vlog", "--precision", "bf8"])
    assert "'bf8' is not one of 'fp32', 'tf32', 'bf16', 'fp16', 'bf16-heads'" in refused.output


@pytest.mark.parametrize("seed", ["-1", str(2**32), "one"])
def test_seed_that_no_generator_takes(seed: str) -> None:
    assert CliRunner().invoke(command, ["vlog", "--seed", seed]).exit_code == 2


def test_help_tells_defaults() -> None:
    text = CliRunner().invoke(command, ["--help"]).output
    assert "[default: shards/DATASET]" in text
    assert "ORN_DATA" in text


def test_json_has_no_numbers_that_json_lacks() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        cli_options.echo_json({"loss": math.nan})


@pytest.mark.parametrize("name", ["\udcff.mp4", "\x7f\x9b1m\x1b[1m", "küche \U000e0001 \u202e"])
def test_json_of_any_name_can_be_printed_and_read(name: str) -> None:
    command = click.command()(lambda: cli_options.echo_json({"path": name}))
    result = CliRunner().invoke(command)
    assert json.loads(result.stdout_bytes) == {"path": name}
    assert result.stdout.replace("\n", "").isprintable()
    assert ("küche" in result.stdout) == ("küche" in name)


def test_settings_for_a_person_and_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"frames_to_do": 5, "checkpoint": None, "unmatched": ["a", "b"], "wrong": []}
    cli_options.echo_settings(settings, as_json=True)
    assert json.loads(capsys.readouterr().out) == settings
    cli_options.echo_settings(settings, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "frames to do: 5",
        "checkpoint: none",
        "unmatched: 2 (a, b)",
        "wrong: none",
    ]
