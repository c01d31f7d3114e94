"""Options that commands share."""

import json
import math
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


@pytest.mark.parametrize(
    ("arguments", "environment", "changes"),
    [
        ("", "", {"out": "None", "as_json": "False", "dry_run": "False", "overrides": "()"}),
        ("", "", {"data_root": "data", "seed": "0", "device": "auto", "precision": "float32"}),
        ("", "/disk", {"data_root": "/disk"}),
        ("--data /other", "/disk", {"data_root": "/other"}),
        ("--set a=1 --set b=2", "", {"overrides": "('a=1', 'b=2')"}),
        ("--precision bf16", "", {"precision": "bfloat16"}),
        ("--precision float16", "", {"precision": "float16"}),  # as plans have it
    ],
)
def test_what_is_given(arguments: str, environment: str, changes: dict[str, str]) -> None:
    usual = given("vlog", env={"ORN_DATA": ""})
    found = given("vlog", *arguments.split(), env={"ORN_DATA": environment})
    assert found == usual | {"dataset": "vlog"} | changes


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--data", "", "expected a path, got an empty text"),
        ("--out", "", "expected a path, got an empty text"),
        ("--precision", "bf8", "'bf8' is not one of 'fp32', 'tf32', 'bf16', 'fp16', 'bf16-heads'"),
        ("--seed", "-1", "-1"),
        ("--seed", str(2**32), "4294967296"),
    ],
)
def test_what_is_refused(option: str, value: str, said: str) -> None:
    refused = CliRunner().invoke(command, ["vlog", option, value])
    assert refused.exit_code == 2
    assert f"Invalid value for '{option}'" in refused.output
    assert said in refused.output


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
    told = "frames to do: 5\ncheckpoint: none\nunmatched: 2 (a, b)\nwrong: none\n"
    assert capsys.readouterr().out == told
