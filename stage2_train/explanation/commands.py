"""The command `orn report`."""

from operator import itemgetter
from typing import Annotated

from pydantic import Field

from orn.shared.common_options import AsJson, FilePath
from orn.shared.echo import echo_report
from orn.shared.manifests.records import Split
from orn.shared.options import Argument, Option, command
from orn.stage2_train.resources import OF_RUN, WITH_WORKERS, Resources, wait_passively


@command("report")
def report(
    run: Annotated[FilePath | None, Argument("RUN")] = None,
    *,
    split: Annotated[
        Split, Option("Split to report on; evaluated first if `orn eval` has not done so.")
    ] = "validation",
    segments: Annotated[
        tuple[str, ...],
        Option(
            "Explain this clip; may be repeated.",
            name="--segment",
            metavar="ID",
            usual="the most confident correct predictions",
        ),
    ] = (),
    most_explained: Annotated[
        int,
        Field(ge=1, le=1_000_000),
        Option(
            "Maximum number of clips for the graphs of object classes, spread over the split.",
            name="--explain",
        ),
    ] = 400,
    resources: Annotated[Resources, OF_RUN] = WITH_WORKERS,
    as_json: AsJson = False,
) -> None:
    """Write RUN/report.html, a page with the scores, confusions and explanations of a run.

    Without RUN, report on the newest run. The page works offline and is at most 10 MB in
    size. Its figures are also saved in RUN/report as PNG, SVG and CSV.
    """
    wait_passively()
    from orn.stage2_train.explanation.report import write_report
    from orn.stage2_train.runs.chosen import chosen_run

    result = write_report(
        chosen_run(run),
        split=split,
        segments=segments,
        most_explained=most_explained,
        resources=resources,
    )
    echo_report(result, itemgetter("report"), as_json=as_json)
