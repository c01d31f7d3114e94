"""Standardization of features by fixed statistics of the training clips.

A linear layer on frozen features learns from few clips only if all features have the same scale.
Unlike batch normalization, the statistics do not change in training and do not depend on a batch.

N vectors, C features.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_LEAST_DEVIATION = 1e-3
"""Least standard deviation, so that features that hardly vary are not amplified."""


class Standardizer(nn.Module):
    """Subtract the mean of each feature and divide by its standard deviation, which `fit` measures
    before the first step; until then, features do not change."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("deviation", torch.ones(num_features))
        self._sums_2C: Tensor | None = None
        """Sums of measured features and of their squares, in float64."""
        self._count = 0

    def forward(self, feats: Tensor) -> Tensor:
        """Return (..., C) standardized features; while `fit` measures, unchanged ones."""
        if self._sums_2C is None:
            return (feats - self.mean) / self.deviation
        feats_NC = feats.flatten(0, -2).detach().double()
        self._count += len(feats_NC)
        self._sums_2C += torch.stack([feats_NC.sum(0), feats_NC.square().sum(0)])
        return feats

    def start(self) -> None:
        """Measure the features of the following calls."""
        self._sums_2C, self._count = self.mean.new_zeros(2, len(self.mean)).double(), 0

    def finish(self) -> None:
        """Set mean and deviation to the values of the measured features, if there were any."""
        sums_2C, self._sums_2C = self._sums_2C, None
        if sums_2C is not None and self._count:
            mean_C, square_C = sums_2C / self._count
            deviation_C = (square_C - mean_C.square()).clamp(min=0).sqrt()
            self.mean.copy_(mean_C)
            self.deviation.copy_(deviation_C.clamp(min=_LEAST_DEVIATION))


@torch.no_grad()
def fit(network: nn.Module, passes: Iterable[object]) -> None:
    """Fit all `Standardizer` modules of a network; `passes` calls the network with the training
    clips as it is iterated.

    No standardized feature may depend on another one, because all are measured in the same pass.
    """
    standardizers = [module for module in network.modules() if isinstance(module, Standardizer)]
    if not standardizers:
        return
    for standardizer in standardizers:
        standardizer.start()
    for _ in passes:
        pass
    for standardizer in standardizers:
        standardizer.finish()
