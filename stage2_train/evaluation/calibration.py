"""Calibration of the weights of both heads in the prediction, on labeled segments.

N segments, A activity classes.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from orn.shared.predictions import Predictions

SCALES = (0.01, 100.0)
"""Smallest and largest scale. If the prediction is correct for all segments, the likelihood
increases without bound as the scales grow."""


def fitted_scales(predictions: Predictions) -> dict[str, float]:
    """Return the maximum-likelihood scales for the logits of `activity_head` and `object_head`.

    The likelihood is computed from a softmax or, for multiple labels, from a sigmoid for each pair
    of segment and class that counts in average precision. Its logarithm is concave in the scales,
    so it has a single maximum. Computed in float64.

    Args:
        predictions: predictions from both heads.
    """
    from scipy.optimize import minimize

    assert predictions.activity_logits is not None and predictions.object_logits is not None
    activity_NA, object_NA = (
        torch.from_numpy(each).double() * predictions.head_share
        for each in (predictions.activity_logits, predictions.object_logits)
    )
    labels = torch.from_numpy(predictions.labels)
    sure_NA = torch.from_numpy(predictions.sure_NA)

    def loss_and_gradient(scales: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scales_2 = torch.tensor(scales, requires_grad=True)
        logits_NA = scales_2[0] * activity_NA + scales_2[1] * object_NA
        if labels.ndim == 1:
            loss = functional.cross_entropy(logits_NA, labels.long())
        else:
            loss = functional.binary_cross_entropy_with_logits(
                logits_NA[sure_NA], labels.double()[sure_NA]
            )
        loss.backward()
        assert scales_2.grad is not None
        return loss.item(), scales_2.grad.numpy()

    found = minimize(
        loss_and_gradient,
        x0=np.ones(2),
        jac=True,
        method="L-BFGS-B",
        bounds=[SCALES] * 2,
        options={"ftol": 1e-15, "gtol": 1e-9},
    )
    return {"activity_head": float(found.x[0]), "object_head": float(found.x[1])}
