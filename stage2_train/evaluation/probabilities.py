"""Probabilities of classes."""

import numpy as np
from numpy.typing import NDArray


def probabilities(logits_A: NDArray[np.float32], *, multi_label: bool) -> NDArray[np.float32]:
    """Return (..., A) softmax of logits, or their sigmoid for multiple labels."""
    wide_A = logits_A.astype(np.float64)
    if multi_label:
        return (0.5 * (1 + np.tanh(wide_A / 2))).astype(np.float32)
    grown_A = np.exp(wide_A - wide_A.max(axis=-1, keepdims=True))
    return (grown_A / grown_A.sum(axis=-1, keepdims=True)).astype(np.float32)
