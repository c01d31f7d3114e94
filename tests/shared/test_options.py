"""Options from requests."""

import json
from pathlib import Path
from typing import Annotated, Literal, Self

import click
import pytest
from click.testing import CliRunner
from pydantic import Field, model_validator

from orn.shared import common_options, options
from orn.shared.options import Argument, Option, OptionOverrides, Request


class Inner(Request):
    """Held by another request."""

    workers: Annotated[int, Field(ge=0, le=8), Option("Processes.")] = 0
    clips: Annotated[common_options.FilePath | None, Option("A store.", usual="clips/DATASET")] = (
        None
    )


class Outer(Request):
    """Has one option of each kind."""

    dataset: common_options.DatasetName
    others: Annotated[tuple[Path, ...], Argument("OTHER")] = ()
    data_root: Annotated[
        common_options.FilePath, Option("Root.", name="--data", variable="ORN_DATA")
    ] = Path("data")
    out: Annotated[common_options.FilePath | None, common_options.out_option("shards/DATASET")] = (
        None
    )
    inner: Annotated[Inner, OptionOverrides(clips=Option("A store.", usual="the run's"))] = Inner(
        workers=3
    )
    seed: common_options.Seed = 0
    overrides: common_options.Overrides = ()
    names: Annotated[common_options.Names, Option("Separated by commas.")] = ()
    precision: Annotated[
        common_options.Precision, common_options.precision_option("Of numbers.")
    ] = "float32"
    size: Annotated[Literal["small", "large"] | None, Option("How much.")] = None
    rate: common_options.FrameRate | None = None
    fast: Annotated[bool, Option("Hurry.")] = False

    @model_validator(mode="after")
    def _is_slow_with_seed_7(self) -> Self:
        if self.fast and self.seed == 7:
            raise ValueError("--fast and --seed 7: expected one of them, got both")
        return self


@options.command("try")
def tried(request: Outer, *, as_json: common_options.AsJson = False) -> int:
    """Print what it was given."""
    click.echo(json.dumps([as_json, json.loads(request.model_dump_json())]))
    return 5


@pytest.fixture
def run():
    """Runs the command with these words; ORN_DATA is a keyword."""
    return lambda words, data="": CliRunner().invoke(tried, words.split(), env={"ORN_DATA": data})


USUAL = json.loads(Outer(dataset="vlog").model_dump_json())


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("", {}),
        ("a b", {"others": ["a", "b"]}),
        ("--data /other --out x", {"data_root": "/other", "out": "x"}),
        ("--set a=1 --set b=2 --names a,b", {"overrides": ["a=1", "b=2"], "names": ["a", "b"]}),
        ("--precision bf16", {"precision": "bfloat16"}),
        ("--seed 0 --fast --size large", {"seed": 0, "fast": True, "size": "large"}),
        ("--workers 0", {"inner": {"workers": 0, "clips": None}}),
    ],
)
def test_what_is_typed(run, words: str, changes: dict[str, object]) -> None:
    assert json.loads(run(f"vlog {words}").stdout) == [False, USUAL | changes]


def test_the_environment_stands_in_for_an_option(run) -> None:
    assert json.loads(run("vlog", data="/disk").stdout)[1]["data_root"] == "/disk"
    assert json.loads(run("vlog --data x --json", data="/disk").stdout)[1]["data_root"] == "x"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--data=", "'--data': expected a path, got an empty string"),
        ("--precision bf8", "'--precision': expected one of 'float32', 'tfloat32', 'bfloat16'"),
        ("--workers 9", "'--workers': expected at most 8, got '9'"),
        ("--fast --seed 7", "--fast and --seed 7: expected one of them, got both"),
    ],
)
def test_what_is_refused_names_the_option(run, words: str, message: str) -> None:
    refused = run(f"vlog {words}")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert message in refused.stderr
