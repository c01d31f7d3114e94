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
        self._moments: _Moments | None = None

    def forward(self, feats: Tensor) -> Tensor:
        """Return (..., C) standardized features; while `fit` measures, unchanged ones."""
        if self._moments is not None:
            self._moments.add(feats.flatten(0, -2))
            return feats
        return (feats - self.mean) / self.deviation

    def start(self) -> None:
        """Measure the features of the following calls."""
        self._moments = _Moments(len(self.mean), device=self.mean.device)

    def finish(self) -> None:
        """Set the statistics to those of the measured features, if there were any."""
        moments, self._moments = self._moments, None
        if moments is not None and moments.count:
            mean_C, deviation_C = moments.result()
            self.mean.copy_(mean_C)
            self.deviation.copy_(deviation_C.clamp(min=_LEAST_DEVIATION))


class _Moments:
    """Sums of features and of their squares, in float64."""

    def __init__(self, num_features: int, *, device: torch.device) -> None:
        self.count = 0
        self._sum_C = torch.zeros(num_features, dtype=torch.float64, device=device)
        self._squares_C = torch.zeros_like(self._sum_C)

    def add(self, feats_NC: Tensor) -> None:
        feats_NC = feats_NC.detach().double()
        self.count += len(feats_NC)
        self._sum_C += feats_NC.sum(0)
        self._squares_C += feats_NC.square().sum(0)

    def result(self) -> tuple[Tensor, Tensor]:
        mean_C = self._sum_C / self.count
        return mean_C, (self._squares_C / self.count - mean_C.square()).clamp(min=0).sqrt()


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
