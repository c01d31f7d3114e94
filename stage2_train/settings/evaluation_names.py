"""Names of evaluations, as in eval-NAME.json, and the options of `orn eval` that give them."""

from typing import Literal, get_args

FrameOrder = Literal["forward", "reversed", "shuffled"]
NumCrops = Literal[1, 3]
NUM_FIGURE_DRAWS = 2000
"""Bootstrap draws for a confidence interval, which determine its width to about 2 %."""
FOLDS = "folds"
"""Name of the evaluation of a cross-validation, over the test splits of all folds."""


def options_of(name: str) -> list[str]:
    """Return the options of `orn eval` that give an evaluation this name."""
    split, _, rest = name.partition("-")
    options = [] if split == "validation" else ["--split", split]
    first, _, others = rest.partition("-")
    if first in get_args(FrameOrder):
        options += ["--frame-order", first]
        rest = others
    return options + (["--name", rest] if rest else [])
