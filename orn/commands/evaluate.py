"""The command `orn eval`."""

from typing import Any

import click

from orn.commands import options
from orn.commands.output import print_record
from orn.shared.environment import wait_passively
from orn.shared.jobs.progress import TERMINAL


@click.command("eval")
@click.argument("run", metavar="[RUN]", required=False)
@click.option(
    "--dataset",
    help="Without RUN: evaluate the newest run on this data set.  [default: any]  With RUN: "
    "evaluate it on this data set, and write the results to eval-SPLIT-DATASET.json.  [default: "
    "the run's]",
)
@options.evaluated_split
@click.option(
    *("--views", "num_clips"),
    type=click.IntRange(1, 1000),
    help="Test clips per segment, the first one centered, whose logits are averaged.  [default: 1]",
)
@options.data_of_run
@options.evaluation_resources
@options.as_json
def evaluate(*, as_json: bool, **typed: Any) -> None:
    """Evaluate the run in the folder RUN on one split; without RUN, evaluate the newest run.

    RUN may also be a folder written by `orn export`, or hf://ORG/NAME; specify its data with
    --data, --shards and --clips.
    """
    wait_passively()
    from orn.stage2_train.evaluation.eval_config import EvalConfig
    from orn.stage2_train.evaluation.evaluate import evaluate as library
    from orn.stage2_train.settings.resources import WITH_WORKERS

    config = options.config_of(EvalConfig, typed, resources=WITH_WORKERS)
    print_record(library(config, TERMINAL), as_json=as_json)
