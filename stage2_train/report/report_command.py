"""The command `orn report`."""

from operator import itemgetter
from typing import Annotated

from orn.data_manifests.records import Split
from orn.shared.common_options import AsJson, FilePath
from orn.shared.echo import echo_result
from orn.shared.options import Argument, Option, command
from orn.stage2_train.settings.resources import OF_RUN, WITH_WORKERS, DataAndDevice, wait_passively


@command("report", imports=("orn.stage2_train.report.report_job",))
def report(
    run: Annotated[FilePath | None, Argument("RUN")] = None,
    *,
    split: Annotated[
        Split, Option("Split to report on; evaluated first if `orn eval` has not done so.")
    ] = "validation",
    resources: Annotated[DataAndDevice, OF_RUN] = WITH_WORKERS,
    as_json: AsJson = False,
) -> None:
    """Write RUN/report.html, a page with the score, confusions and explanations of a run.

    Without RUN, report on the newest run. A cross-validation is reported over the test splits of
    all folds. The page works offline and is at most 10 MB in size.
    """
    wait_passively()
    from orn.stage2_train.report.report_job import write_report
    from orn.stage2_train.runs.find_run import chosen_run

    result = write_report(chosen_run(run), split=split, resources=resources)
    echo_result(result, itemgetter("report"), as_json=as_json)
