"""Options of `orn compare`."""

from typing import Annotated

from orn.shared.common_options import FilePath
from orn.shared.evaluation_names import NUM_FIGURE_DRAWS
from orn.shared.options import Argument, Request
from orn.stage2_train.settings.resources import Measurement


class CompareRequest(Request):
    """Options of `orn compare`; differences are metrics of OTHER minus metrics of ONE."""

    one: Annotated[FilePath, Argument("ONE")]
    other: Annotated[FilePath, Argument("OTHER")]
    name: Measurement = "validation"
    num_draws: int = NUM_FIGURE_DRAWS
