"""The command `orn compare`."""

from typing import Annotated

from orn.shared.common_options import AsJson, FilePath
from orn.shared.echo import echo_result
from orn.shared.options import Argument, Option, command


@command("compare")
def compare(
    one: Annotated[FilePath, Argument("ONE")],
    other: Annotated[FilePath, Argument("OTHER")],
    *,
    name: Annotated[
        str | None,
        Option(
            "Evaluation to compare: NAME in eval-NAME.json, such as a split.",
            name="--on",
            usual="folds if both runs are cross-validations, else validation",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two runs on the same segments: by how much and where OTHER is better than ONE.

    First evaluate both runs with `orn eval`, which stores their predictions.
    """
    from orn.stage2_train.compare import compare as comparison

    echo_result(comparison.compare(one, other, name=name), comparison.as_summary, as_json=as_json)
