"""The class vector c of an object (eq. 8), from what a detector says of its classes, as a loop."""

import numpy as np
from numpy.typing import ArrayLike


def class_vector(scores: ArrayLike, label: int, num_classes: int, score_kind: str) -> list[float]:
    """num_classes + 1 numbers, the background last.

    Args:
        scores: of each class; of the kept class alone where the kind is `label`.
        label: the kept class.
        num_classes: of the detector.
        score_kind: `softmax`, `sigmoid` or `label`.
    """
    known = [float(score) for score in np.atleast_1d(scores)]
    if score_kind == "label":
        known = [known[0] if place == label else 0.0 for place in range(num_classes)]
    taken = 0.0
    for score in known:
        taken = max(taken, score) if score_kind == "sigmoid" else taken + score
    return [*known, max(1 - taken, 0.0)]
