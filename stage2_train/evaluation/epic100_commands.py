"""`orn eval-epic100` and `orn submit epic100`: parse, call one function, print what came out."""

from typing import Any

import click

from orn.shared.cli_options import NonEmptyPath, dry_run_option, echo_report, json_option
from orn.stage2_train.resources import Resources, resource_options

_path = NonEmptyPath()


def _level_option(name: str, what: str) -> Any:
    return click.option(
        f"--{name}", type=click.IntRange(0, 5), help=f"Level of {what}.  [default: from the runs]"
    )


@click.command("eval-epic100")
@click.argument("verb_run", type=_path)
@click.argument("noun_run", type=_path)
@click.option(
    "--on",
    "name",
    default="validation",
    show_default=True,
    help="What both were measured on: a split, as in eval-SPLIT.json, with what follows it there.",
)
@click.option("--data", "data_root", type=_path, help="Data root.  [default: the runs']")
@json_option
def eval_epic100(as_json: bool, **options: Any) -> None:
    """Print the table of EPIC Kitchens 100's recognition challenge for VERB_RUN and NOUN_RUN.

    Top-1 and top-5 of verbs, nouns and actions: of all segments, of unseen participants, of tail
    classes. Both runs have to be measured by `orn eval`, which keeps what they predict.
    """
    from orn.stage2_train.evaluation import epic100

    report = epic100.measure_epic100(epic100.Epic100Request(**options))
    echo_report(report, epic100.as_report, as_json=as_json)


@click.command("epic100")
@click.argument("verb_run", type=_path)
@click.argument("noun_run", type=_path)
@click.argument("out", type=_path)
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="test",
    show_default=True,
    help="Whose segments. What runs predict of test segments, which have no labels, is computed "
    "and kept; of validation segments it is what `orn eval` kept.",
)
@_level_option("pt", "pre-training")
@_level_option("tl", "training labels")
@_level_option("td", "training data")
@resource_options(of_run=True)
@dry_run_option
@json_option
def submit_epic100(
    pt: int | None,
    tl: int | None,
    td: int | None,
    resources: Resources,
    as_json: bool,
    **options: Any,
) -> None:
    """Write the file of EPIC Kitchens 100's recognition challenge, OUT, of VERB_RUN and NOUN_RUN.

    It has the scores of every narration id of the split, and the levels of supervision, which are
    printed with the reason for each. Where ids are missing or unexpected, nothing is written.
    """
    from orn.stage2_train.evaluation import epic100_file

    given = {"pt": pt, "tl": tl, "td": td}
    levels = {name: level for name, level in given.items() if level is not None}
    request = epic100_file.SubmitRequest(levels=levels, resources=resources, **options)
    result = epic100_file.submit_epic100(request)
    echo_report(result, epic100_file.as_report, as_json=as_json)
