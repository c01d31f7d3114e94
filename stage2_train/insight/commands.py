"""`orn report`: parse, call one function, print where the page is."""

from operator import itemgetter
from pathlib import Path
from typing import Any

import click

from orn.shared.cli_options import NonEmptyPath, echo_report, json_option
from orn.stage2_train.resources import Resources, resource_options
from orn.stage2_train.runs.chosen import chosen_run


@click.command()
@click.argument("run", type=NonEmptyPath(), required=False)
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="validation",
    show_default=True,
    help="What to report on; measured first where `orn eval` has not.",
)
@click.option(
    "--segment",
    "segments",
    multiple=True,
    metavar="ID",
    help="Show the pairs of this clip; may be repeated.  [default: the surest right ones]",
)
@click.option(
    "--explain",
    "most_explained",
    type=click.IntRange(1, 1_000_000),
    default=400,
    show_default=True,
    help="Clips at most that the graphs of object classes are made of, spread over the split.",
)
@resource_options(of_run=True)
@json_option
def report(run: Path | None, resources: Resources, as_json: bool, **options: Any) -> None:
    """Write RUN/report.html, a page of the training in the folder RUN: scores, confusions, and
    which pairs of objects decided. Without RUN, of the newest training.

    The page works offline and has at most 10 MB. Its figures also lie in RUN/report as PNG, SVG
    and CSV.
    """
    from orn.stage2_train.insight.report import write_report

    result = write_report(chosen_run(run), resources=resources, **options)
    echo_report(result, itemgetter("report"), as_json=as_json)
