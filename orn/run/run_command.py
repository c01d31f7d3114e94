"""The command `orn run`."""

import sys
from typing import Annotated

import click

from orn.run.run_request import PipelineRequest
from orn.shared.common_options import AsJson, DryRun
from orn.shared.echo import echo_result, echo_text
from orn.shared.errors import ConfigError
from orn.shared.options import Option, command
from orn.stage2_train.settings.resources import wait_passively


@command("run")
def run(
    request: PipelineRequest,
    *,
    yes: Annotated[bool, Option("Start without asking for confirmation.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Process DATASET from videos to a report: check, detect, store clips, train, evaluate.

    DATASET is a manifest, or a CSV table with the columns video and label, for which a manifest is
    created. The time of each step is estimated before the first one starts. Each
    step is printed as the command that it runs. Rerun the command to resume an interrupted run.
    """
    if not (yes or dry_run or sys.stdin.isatty()):
        raise ConfigError(
            "stdin is not a terminal, so the start cannot be confirmed; pass --yes to start, or "
            "--dry-run for the estimate"
        )
    wait_passively()
    from orn.run import run_estimate as estimate
    from orn.run.plan_run import open_pipeline
    from orn.run.run_steps import as_summary, run_pipeline
    from orn.stage2_train.runs.run_folder import RUN_MARKER

    pipeline, dataset = open_pipeline(request, dry_run=dry_run)
    estimated = estimate.estimate_pipeline(pipeline, dataset)
    if dry_run:
        echo_result(estimated, estimate.as_summary, as_json=as_json)
        return 0
    echo_text(estimate.as_summary(estimated).text(), err=True)
    is_confirmed = yes or (RUN_MARKER.is_in(pipeline.run) and not request.fresh)  # or resumed
    if not is_confirmed and not click.confirm("Start?", err=True):
        return 1
    pipeline = estimate.without_short_workers(pipeline, estimated)
    echo_result(run_pipeline(pipeline), as_summary, as_json=as_json)
    return 0
