"""The command `orn run`."""

import sys
from typing import Any

import click

from orn.commands import options
from orn.commands.output import echo_result, echo_text, print_record
from orn.shared.environment import wait_passively
from orn.shared.errors import ConfigError
from orn.shared.jobs.progress import TERMINAL


@click.command("run")
@click.argument("dataset", metavar="DATASET|TABLE.csv")
@options.data_root
@options.folds
@options.intervals
@click.option(
    "--no-final",
    is_flag=True,
    help="With --folds: omit the last training, on all videos, whose model predicts.",
)
@click.option("--config", metavar="NAME|FILE", help="Detector, as in `orn detect`.")
@click.option("--checkpoint", type=options.PATH, help="Weights of the detector.")
@options.own_detector
@options.picked_rate
@click.option(
    "--objects",
    type=options.PATH,
    help="File or folder of objects to import instead of detecting; requires --format.",
)
@click.option(
    *("--format", "form"),
    type=click.Choice(["authors", "epic100", *options.RECORD_FORMATS]),
    help="Format of --objects, as in `orn import-objects`.",
)
@options.object_options
@options.recipe
@options.overrides
@options.seed
@click.option("--run", type=options.PATH, help="Run folder.  [default: runs/DATASET-RECIPE-seedN]")
@click.option(
    "--fresh", is_flag=True, help="Remove the existing shards, clip store and run, and start over."
)
@click.option(
    "--partial", is_flag=True, help="Continue without videos that are missing or cannot be decoded."
)
@click.option("--yes", is_flag=True, help="Start without asking for confirmation.")
@options.dry_run
@options.as_json
def run(*, yes: bool, dry_run: bool, as_json: bool, **typed: Any) -> int:
    """Process DATASET from videos to a report: check, detect, store clips, train, evaluate.

    DATASET is a manifest, or a CSV table with the columns video and label, for which a manifest is
    created. What each step would do is shown, with an estimate of its time, before the first one
    starts. Rerun the command to resume an interrupted run.
    """
    from orn.stage1_detect.imports.import_config import ObjectOptions
    from orn.steps.pipeline_config import PipelineConfig

    config = options.config_of(PipelineConfig, typed, options=ObjectOptions())
    if not (yes or dry_run or sys.stdin.isatty()):
        raise ConfigError(
            "stdin is not a terminal, so the start cannot be confirmed; pass --yes to start, or "
            "--dry-run for the estimate"
        )
    wait_passively()
    from orn.stage2_train.runs.run_folder import RUN_MARKER
    from orn.steps.estimate import as_summary, describe_run, with_work
    from orn.steps.open_pipeline import open_pipeline
    from orn.steps.pipeline import pipeline_steps, run_pipeline

    pipeline, dataset = open_pipeline(config, TERMINAL, dry_run=dry_run)
    steps = with_work(pipeline_steps(pipeline), pipeline, dataset)
    described = describe_run(steps, pipeline, dataset)
    if dry_run:
        echo_result(described, as_summary, as_json=as_json)
        return 0
    echo_text(as_summary(described).text(), err=True)
    is_confirmed = yes or (RUN_MARKER.is_in(pipeline.run) and not config.fresh)  # or resumed
    if not is_confirmed and not click.confirm("Start?", err=True):
        return 1
    print_record(run_pipeline(pipeline, steps, TERMINAL), as_json=as_json)
    return 0
