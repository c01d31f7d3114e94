"""Names of evaluations, as in eval-NAME.json, the options of `orn eval` that give them, and their
usual settings."""

from typing import Literal, get_args

FrameOrder = Literal["forward", "reversed", "shuffled"]
FOLDS = "folds"
"""Name of the evaluation of a cross-validation, over the test splits of all folds."""
PARTS = {"two_heads": ("activity_head", "object_head"), "average": ("forest", "probe")}
"""Heads of a network, and models of a baseline, by the name of their combination."""
HEADS = tuple(name for combined, parts in PARTS.items() for name in (combined, *parts))
"""Names that have metrics; the first of an evaluation is its prediction."""


def options_of(name: str) -> list[str]:
    """Return the options of `orn eval` that give an evaluation this name."""
    split, _, rest = name.partition("-")
    options = [] if split == "validation" else ["--split", split]
    first, _, others = rest.partition("-")
    if first in get_args(FrameOrder):
        options += ["--frame-order", first]
        rest = others
    return options + (["--name", rest] if rest else [])


NumCrops = Literal[1, 3]
NUM_FIGURE_DRAWS = 2000
"""Bootstrap draws for a confidence interval, which determine its width to about 2 %."""
