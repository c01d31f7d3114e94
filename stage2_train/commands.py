"""`orn train`, `orn eval` and `orn compare`: parse, call one function, print what came out."""

import re
from pathlib import Path
from typing import Any

import click

from orn.shared.cli_options import (
    LARGEST_SEED,
    NonEmptyPath,
    data_option,
    dry_run_option,
    echo_report,
    json_option,
    set_option,
)
from orn.shared.errors import ConfigError
from orn.stage2_train.newest_data import of_newest_data
from orn.stage2_train.resources import Resources, resource_options
from orn.stage2_train.runs.chosen import chosen_run
from orn.stage2_train.systems_commands import system_option

_path = NonEmptyPath()
_MOST_CLIPS = 1000
_VIEWS = re.compile(r"([1-9]\d{0,3})x([13])", re.ASCII)
_DURATION = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?", re.ASCII)


class _Duration(click.ParamType):
    """Seconds, written such as 11h55m, 90s or 1d12h."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The seconds; fails as click's types do."""
        if isinstance(value, int | float):
            return float(value)
        match = _DURATION.fullmatch(value)
        if not match or not value:
            self.fail(f"wanted a time such as 11h55m, 90s or 1d12h, found {value!r}", param, ctx)
        days, hours, minutes, seconds = (float(each or 0) for each in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


class _Views(click.ParamType):
    """Clips of a segment and crops of a clip, written such as 10x3."""

    name = "CLIPSxCROPS"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Both; fails as click's types do."""
        match = _VIEWS.fullmatch(value)
        if not match or int(match[1]) > _MOST_CLIPS:
            wanted = f"wanted 1 to {_MOST_CLIPS} clips x 1 or 3 crops, such as 10x1 or 10x3"
            self.fail(f"{wanted}, found {value!r}", param, ctx)
        return int(match[1]), int(match[2])


@click.command()
@click.argument("dataset", required=False)
@click.option("--recipe", help="Name or TOML file of a recipe.  [default: by data set]")
@system_option
@set_option
@click.option("--run", type=_path, help="Run folder.  [default: runs/DATASET-RECIPE-SYSTEM-seedN]")
@click.option("--weights", type=_path, help="Weights of a torchvision network to start from.")
@click.option(
    "--from",
    "start",
    metavar="RUN",
    help="A run or model folder, or hf://ORG/NAME, whose weights to start from, all but the "
    "classifiers'.",
)
@click.option("--seed", type=click.IntRange(0, LARGEST_SEED), help="In place of the recipe's.")
@click.option(
    "--max-steps", type=click.IntRange(1, 10**9), help="Stop when so many steps are done."
)
@click.option(
    "--stop-after",
    type=_Duration(),
    metavar="TIME",
    help="Save and end after so long, such as 11h55m; the same command goes on.",
)
@click.option(
    "--log-with",
    metavar="TRACKER",
    multiple=True,
    help="Metrics also go to mlflow or wandb, in the run's folder; may be repeated.",
)
@click.option("--prepare", is_flag=True, help="Run `orn detect` first where there are no shards.")
@resource_options()
@dry_run_option
@json_option
def train(
    dataset: str | None,
    start: str | None,
    weights: Path | None,
    resources: Resources,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train the network on the clips and shards of DATASET, or go on with a training; without
    DATASET, on the data set whose objects were completed last.

    Where there are shards and no clip store, `orn clips` makes it first.
    A run folder holds one training: calling this again goes on where it was left, and does nothing
    when it is finished.
    """
    if start is not None and weights is not None:
        raise ConfigError("--from and --weights: expected one of them, got both; leave one out")
    from orn.stage2_train.runs.hub import local_folder
    from orn.stage2_train.training.train import TrainRequest, describe_training
    from orn.stage2_train.training.train import train as run

    options |= {"start": None if start is None else local_folder(start), "weights": weights}
    if dataset is None:
        dataset, resources = of_newest_data(resources)
    request = TrainRequest(manifest=dataset, resources=resources, **options)
    result = describe_training(request) if dry_run else run(request)
    if dry_run and not as_json:
        steps = ", ".join(f"{number} of {phase}" for phase, number in result["steps"].items())
        recipe = result.pop("recipe")
        result |= {"steps": steps, "recipe": f"\n\n{recipe}"}
    echo_report(result, _lines, as_json=as_json)


@click.command("eval")
@click.argument("run", required=False)
@click.option(
    "--dataset",
    help="Without RUN: of the runs in runs/, take the newest on this data set.  [default: any]  "
    "With it: measure on this one.  [default: the run's]",
)
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="validation",
    show_default=True,
    help="What to measure.",
)
@click.option(
    "--num-clips",
    type=click.IntRange(1, _MOST_CLIPS),
    help="Test clips of each segment, averaged; the first is centred.  [default: 1]",
)
@click.option(
    "--views",
    type=_Views(),
    help="Such as 10x3: so many test clips of each segment, and of each 1 crop in the middle or 3 "
    "along the longer side; all are averaged.  [default: 1x1]",
)
@click.option(
    "--flip",
    is_flag=True,
    help="Look at each of these flipped left to right, too, where the manifest says what flips "
    "make of classes.",
)
@click.option(
    "--frame-order",
    type=click.Choice(["forward", "reversed", "shuffled"]),
    help="A control: the order of a clip's frames; the results go to eval-SPLIT-ORDER.json.",
)
@click.option(
    "--name",
    "label",
    help="Keeps results beside others of the split, in eval-SPLIT-NAME.json; has to be given with "
    "shards that are not the run's.",
)
@resource_options(of_run=True)
@json_option
def evaluate(
    run: str | None,
    dataset: str | None,
    resources: Resources,
    num_clips: int | None,
    views: tuple[int, int] | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure the training in the folder RUN on one split; without RUN, the newest training.

    RUN may be a folder that `orn export` wrote, or hf://ORG/NAME; its data is where --data,
    --shards and --clips say.
    """
    if views is not None and num_clips is not None:
        raise ConfigError("--views and --num-clips: wanted one of them, found both")
    clips, crops = views or (num_clips or 1, 1)
    folder = manifest = None
    if run is not None:
        from orn.stage2_train.runs.hub import local_folder

        folder, manifest = local_folder(run), dataset
    folder = chosen_run(folder, dataset)
    from orn.stage2_train.evaluation import evaluate as evaluation
    from orn.stage2_train.evaluation.eval_file import as_report

    options |= {"num_clips": clips, "num_crops": crops, "manifest": manifest}
    request = evaluation.EvalRequest(run=folder, resources=resources, **options)
    report = evaluation.evaluate(request)
    echo_report(report, as_report, as_json=as_json)


@click.command("import-checkpoint")
@click.argument("file", type=_path)
@click.argument("out", type=_path)
@click.option(
    "--dataset", default="vlog", show_default=True, help="Data set that it was trained on."
)
@data_option
@click.option("--shards", type=_path, help="Folder of shards.  [default: shards/DATASET]")
@click.option("--clips", type=_path, help="Clip store.  [default: clips/DATASET]")
@set_option
@json_option
def import_checkpoint(
    file: Path,
    out: Path,
    dataset: str,
    overrides: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Make the run OUT, for `orn eval`, of FILE: the network that the paper's authors released.

    Needs the label tables of the data set, and nothing else of it. The recipe is authors_vlog.
    """
    from orn.stage2_train.runs.import_checkpoint import import_checkpoint as run

    resources = Resources(**options)
    result = run(file, out, dataset=dataset, resources=resources, overrides=overrides)
    echo_report(result, _lines, as_json=as_json)


@click.command()
@click.argument("one", type=_path)
@click.argument("other", type=_path)
@click.option(
    "--on",
    "name",
    default="validation",
    show_default=True,
    help="What both were measured on: a split, as in eval-SPLIT.json, with what follows it there.",
)
@json_option
def compare(one: Path, other: Path, name: str, as_json: bool) -> None:
    """Say how much better the run OTHER is than ONE on the same segments, and on which.

    Both have to be measured by `orn eval`, which keeps what they predict.
    """
    from orn.stage2_train.evaluation import compare as comparison

    report = comparison.compare(comparison.CompareRequest(one=one, other=other, name=name))
    echo_report(report, comparison.as_report, as_json=as_json)


def _lines(result: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in result.items())
