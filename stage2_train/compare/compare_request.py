"""Options of `orn compare`."""

from typing import Annotated

from orn.shared.common_options import FilePath
from orn.shared.options import Argument, Option, Request
from orn.stage2_train.settings.evaluation_names import NUM_FIGURE_DRAWS


class CompareRequest(Request):
    """Options of `orn compare`; differences are metrics of OTHER minus metrics of ONE."""

    one: Annotated[FilePath, Argument("ONE")]
    other: Annotated[FilePath, Argument("OTHER")]
    name: Annotated[
        str | None,
        Option(
            "Evaluation to compare: NAME in eval-NAME.json, such as a split.",
            name="--on",
            usual="folds if both runs are cross-validations, else validation",
        ),
    ] = None
    num_draws: int = NUM_FIGURE_DRAWS
