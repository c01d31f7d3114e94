"""Names of evaluations, as in eval-NAME.json, and the options of `orn eval` that give them."""

from typing import Literal

NumCrops = Literal[1, 3]
NUM_FIGURE_DRAWS = 2000
"""Bootstrap draws for a confidence interval, which determine its width to about 2 %."""
FOLDS = "folds"
"""Name of the evaluation of a cross-validation, over the test splits of all folds."""


def options_of(name: str) -> list[str]:
    """Return the options of `orn eval` that give an evaluation this name."""
    split, _, rest = name.partition("-")
    options = [] if split == "validation" else ["--split", split]
    return options + (["--name", rest] if rest else [])
