"""Names of evaluations, as in eval-NAME.json, and of the heads that have metrics; how the logits of
heads are combined. A model of a network and a forest is combined in `parts.temperatures`."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

NUM_FIGURE_DRAWS = 2000
"""Bootstrap draws for a confidence interval, which determine its width to about 2 %."""
FOLDS = "folds"
"""Name of the evaluation of a cross-validation, over the test splits of all folds."""
CHANGES = {
    "reversed": "frames in reversed order",
    "one_frame": "only the middle frame",
    "no_objects": "without objects",
}
"""Changes of clips, which show what a run uses, by their name in files."""
MOST_CHANGED = 200
"""Largest number of clips that are changed if the network computes features from frames."""
HeadCombination = Literal["mean", "sum"]
Logits = TypeVar("Logits", bound=Any)
"""Arrays or tensors of logits."""
PARTS = {"two_heads": ("activity_head", "object_head"), "average": ("forest", "probe")}
"""Heads of a network, and models of a baseline, by the name of their combination."""
WHOLE = "model"
"""Name of a network and a forest together."""
FIGURES = {
    "frames": "frames (0.1 s) right",
    "activity_frames": "frames of activities right",
    "f1_frames": "macro-F1 of frames of activities",
    "f1_10": "F1 at 10 % overlap",
    "f1_25": "F1 at 25 % overlap",
    "f1_50": "F1 at 50 % overlap",
    "edit": "edit score",
    "map": "mAP, mean over overlaps of 30 to 70 %",
}
"""Figures of intervals that are proportions, in order, and what they are."""
HEADLINE = "f1_50"
"""The figure by which models of intervals are compared."""
UNTRAINED = {"mean_durations": "mean durations", "background": "background always"}
"""What finds intervals without a look at films, by name, and what it is called."""
FILM_HEAD = "film_head"
"""Name of the head over time, which reads whole long videos."""
HEADS = (
    *(WHOLE, *(name for combined, parts in PARTS.items() for name in (combined, *parts))),
    FILM_HEAD,
)
"""Names that have metrics; the first of an evaluation is its prediction."""


def with_combination(
    heads: Mapping[str, Logits | None], combination: HeadCombination
) -> dict[str, Logits]:
    """Return the logits of each head that has any, by its name in reports. The prediction comes
    first: the mean (or sum) of two heads' logits, or the only head's logits."""
    known = {name: logits for name, logits in heads.items() if logits is not None}
    for whole, (one, other) in PARTS.items():
        if one in known and other in known:
            total = known[one] + known[other]
            return {whole: total if combination == "sum" else total / 2, **known}
    return known
