"""`orn train` and `orn eval`: parse, call the job, print what came out."""

import os
from pathlib import Path
from typing import Any

import click

from shared.cli_options import (
    LARGEST_SEED,
    data_option,
    dataset_argument,
    device_option,
    dry_run_option,
    echo_json,
    json_option,
    set_option,
)
from shared.environment import usable_cores
from stage2_train.systems_commands import system_option

__all__ = ["evaluate", "train"]

_path = click.Path(path_type=Path)
_workers_option = click.option(
    "--workers",
    type=click.IntRange(0),
    default=min(4, usable_cores() - 1),
    show_default=True,
    help="Processes that make batches.",
)
_partial_option = click.option(
    "--partial", is_flag=True, help="Leave out segments whose video is not there."
)
_no_clip_store_option = click.option(
    "--no-clip-store", is_flag=True, help="Decode every clip from its video, which is slow."
)
_shards_option = click.option("--shards", type=_path, help="Folder of shards.")


@click.command()
@dataset_argument
@data_option
@click.option("--recipe", help="Name or TOML file of a recipe.  [default: by data set]")
@system_option
@set_option
@click.option("--run", type=_path, help="Run folder.  [default: runs/DATASET-RECIPE-SYSTEM-seedN]")
@_shards_option
@click.option("--clips", type=_path, help="Clip store.  [default: clips/DATASET.h5]")
@_no_clip_store_option
@click.option("--weights", type=_path, help="Weights of a torchvision network to start from.")
@click.option("--seed", type=click.IntRange(0, LARGEST_SEED), help="In place of the recipe's.")
@click.option("--max-steps", type=click.IntRange(1), help="Stop when so many steps are done.")
@_workers_option
@_partial_option
@device_option
@dry_run_option
@json_option
def train(dataset: str, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Train the network on DATASET's clips and shards, or go on with a training.

    A run folder holds one training: calling this again goes on where it was left, and does nothing
    when it is finished.
    """
    from stage2_train.training import job

    request = job.TrainRequest(manifest=dataset, **options)
    result = job.describe_training(request) if dry_run else job.train(request)
    if not _speaks():
        return
    if as_json:
        echo_json(result)
    else:
        click.echo("\n".join(f"{name}: {value}" for name, value in result.items()))


@click.command("eval")
@click.argument("run", type=_path)
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="validation",
    show_default=True,
    help="What to measure.",
)
@click.option(
    "--clips",
    "num_clips",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Test clips of each segment, averaged; the first is centred.",
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
@click.option("--data", "data_root", type=_path, help="Data root.  [default: the run's]")
@_shards_option
@click.option("--clip-store", "clips", type=_path, help="Clip store.  [default: the run's]")
@_no_clip_store_option
@_workers_option
@_partial_option
@device_option
@json_option
def evaluate(
    split: str,
    num_clips: int,
    frame_order: Any,
    label: str | None,
    workers: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure the training in the folder RUN on one split."""
    from stage2_train.evaluation import evaluate as evaluation
    from stage2_train.evaluation import job

    wanted = evaluation.EvaluationRequest(
        split=split, num_clips=num_clips, frame_order=frame_order, label=label, workers=workers
    )
    report = job.evaluate(job.EvalRequest(evaluation=wanted, **options))
    if not _speaks():
        return
    if as_json:
        echo_json(report)
    else:
        click.echo(evaluation.report_text(report))


def _speaks() -> bool:
    """Whether this process is the one of several (torchrun's RANK) that prints results."""
    return os.environ.get("RANK", "0") == "0"
