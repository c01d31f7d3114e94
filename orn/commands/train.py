"""The command `orn train`."""

from typing import Any

import click

from orn.commands import options
from orn.commands.output import echo_result, print_record
from orn.shared.environment import wait_passively
from orn.shared.jobs.progress import TERMINAL


@click.command("train")
@options.manifest
@options.recipe
@click.option(
    "--system",
    metavar="NAME",
    help="System in the paper's tables (docs/train.md), instead of the recipe's.",
)
@options.overrides
@click.option(
    "--run", type=options.PATH, help="Run folder.  [default: runs/DATASET-RECIPE-SYSTEM-seedN]"
)
@click.option("--weights", type=options.PATH, help="Initial weights: a torchvision state dict.")
@click.option(
    *("--from", "start"),
    metavar="RUN",
    help="Fine-tune a run, a model folder or hf://ORG/NAME: start from its weights, except "
    "those of the classifiers.",
)
@click.option("--seed", type=click.IntRange(0, 4294967295), help="Seed, instead of the recipe's.")
@click.option("--max-steps", type=options.COUNT, help="Stop after this number of steps.")
@options.data_root
@options.stores
@options.evaluation_resources
@options.dry_run
@options.as_json
def train(*, dry_run: bool, as_json: bool, **typed: Any) -> None:
    """Train the network on the clips and shards of DATASET, or resume a training run; without
    DATASET, use the data set whose detection finished last.

    If there are shards but no clip store, `orn clips` creates the clip store first. Rerun the
    command to resume an interrupted training run; it does nothing once the run is finished.
    """
    wait_passively()
    from orn.stage2_train.settings.resources import WITH_WORKERS
    from orn.stage2_train.training import train as library
    from orn.stage2_train.training.train_config import TrainConfig

    config = options.config_of(TrainConfig, options.with_newest_data(typed), resources=WITH_WORKERS)
    if dry_run:
        result = library.describe_training(config)
        echo_result(result, library.plan_text, as_json=as_json)
        return
    print_record(library.train(config, TERMINAL), as_json=as_json)
