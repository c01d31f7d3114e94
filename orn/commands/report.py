"""The command `orn report`."""

from typing import Any

import click

from orn.commands import options
from orn.commands.output import print_record
from orn.shared.environment import wait_passively
from orn.shared.jobs.progress import TERMINAL


@click.command("report")
@click.argument("run", metavar="[RUN]", required=False, type=options.PATH)
@options.split("Split to report on; evaluated first if `orn eval` has not done so.")
@options.data_of_run
@options.evaluation_resources
@options.as_json
def report(*, as_json: bool, **typed: Any) -> None:
    """Write RUN/report.html, a page with the score, confusions and explanations of a run.

    Without RUN, report on the newest run. A cross-validation is reported over the test splits of
    all folds. The page works offline and is at most 10 MB in size.
    """
    wait_passively()
    from orn.stage2_train.report.report_job import ReportConfig, write_report
    from orn.stage2_train.settings.resources import WITH_WORKERS

    config = options.config_of(ReportConfig, typed, resources=WITH_WORKERS)
    print_record(write_report(config, TERMINAL), as_json=as_json)
