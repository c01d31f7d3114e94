"""Options from requests."""

import json
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal, Self

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
        ("--precision bf8", "'--precision': expected one of 'float32', 'bfloat16'"),
        ("--workers 9", "'--workers': expected at most 8, got '9'"),
        ("--fast --seed 7", "--fast and --seed 7: expected one of them, got both"),
    ],
)
def test_what_is_refused_names_the_option(run, words: str, message: str) -> None:
    refused = run(f"vlog {words}")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert message in refused.stderr


def test_a_printed_command_line_is_parsed_to_the_same_values() -> None:
    """Of real commands, whose functions are replaced."""
    from orn.cli import main
    from orn.stage1_detect.detect_command import detect
    from orn.stage1_detect.detect_request import DetectRequest, Scope
    from orn.stage2_train.clip_store.clips_command import clips
    from orn.stage2_train.clip_store.clips_request import ClipsRequest
    from orn.stage2_train.evaluation.eval_command import evaluate
    from orn.stage2_train.evaluation.eval_request import EvalRequest
    from orn.stage2_train.settings.resources import WITH_WORKERS, TrainRequest
    from orn.stage2_train.training.train_command import train

    places = WITH_WORKERS.changed(data_root=Path("my data"), workers=0, partial=True)
    requests = {
        detect: DetectRequest(dataset="a", scope=Scope(rate=2.5), precision="bfloat16"),
        clips: ClipsRequest(manifest="a.toml", size=(64, 96), fresh=True),
        evaluate: EvalRequest(run="runs/a", num_clips=10, resources=places),
        train: TrainRequest(manifest="a", overrides=("a=[1,2]", "b='c d'"), resources=places),
    }
    for command, request in requests.items():
        seen: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command, "function", lambda seen=seen, **given: seen.append(given))
            with pytest.raises(SystemExit):
                main(shlex.split(command.typed(request=request))[1:])
        assert seen[0]["request"] == request
