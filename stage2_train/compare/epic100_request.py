"""Options of `orn eval-epic100`."""

from typing import Annotated

from orn.shared.common_options import FilePath
from orn.shared.options import Argument, Option, Request
from orn.stage2_train.settings.evaluation_names import NUM_FIGURE_DRAWS


class Epic100Request(Request):
    """Options of the command that combines a verb run and a noun run on EPIC-KITCHENS-100."""

    verb_run: Annotated[FilePath, Argument("VERB_RUN")]
    noun_run: Annotated[FilePath, Argument("NOUN_RUN")]
    name: Annotated[
        str, Option("Evaluation to use: NAME in eval-NAME.json, such as a split.", name="--on")
    ] = "validation"
    data_root: Annotated[
        FilePath | None, Option("Data root.", name="--data", usual="the runs'")
    ] = None
    num_draws: int = NUM_FIGURE_DRAWS
