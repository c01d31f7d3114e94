"""`orn run`: prepare, estimate, ask, carry out, say where the results are."""

import sys
from typing import Annotated

import click

from orn.shared.common_options import AsJson, DryRun
from orn.shared.echo import echo_report, echo_text
from orn.shared.errors import ConfigError
from orn.shared.options import Option, command
from orn.stage2_train.pipeline.request import PipelineRequest


@command("run")
def run(
    request: PipelineRequest,
    *,
    yes: Annotated[bool, Option("Start without being asked.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Take DATASET from its videos to a report: check, detect, store clips, train, evaluate.

    DATASET is a manifest, or a table of labels with the columns video and label, for which a
    manifest is made first. Before it starts, it says how long each step will take and how much it
    writes. Each step is printed as the command that does it. Interrupted, the same command goes on.
    """
    if dry_run and request.is_table:
        raise ConfigError(
            f"{request.dataset}: expected a manifest for --dry-run, which writes nothing, got a "
            "table; `orn manifest new` makes its manifest"
        )
    if not (yes or dry_run or sys.stdin.isatty()):
        raise ConfigError(
            "--yes: expected it where nobody can be asked whether to start, got no terminal; give "
            "--yes, or --dry-run for the estimate"
        )
    from orn.stage2_train.pipeline import estimate, pipeline

    opened = pipeline.open_pipeline(request)
    if dry_run:
        found = estimate.estimate_pipeline(opened)
        echo_report(found, estimate.as_report, as_json=as_json)
        return 0
    if not opened.record.exists():  # else it goes on with what was agreed to
        found = estimate.estimate_pipeline(opened)
        echo_text(estimate.as_report(found).text(), err=True)
        if not yes and not click.confirm("Start?", err=True):
            return 1
    echo_report(pipeline.run_pipeline(opened), pipeline.as_report, as_json=as_json)
    return 0
