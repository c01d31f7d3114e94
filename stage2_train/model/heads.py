"""Classifiers of sequences of vectors (eq. 5, 9, 10, 11), with the variants in the paper's tables,
and the activity heads that end in them.

B clips, T time steps, M = B * T frames folded, D features per step, R width of the state, C
channels of a map, h w cells, A activity classes. Times of the steps are in seconds.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from orn.stage2_train.model.resnet_25d import Stage
from orn.stage2_train.model.standardize import Standardizer
from orn.stage2_train.settings.model_config import Aggregation

_EPSILON = 1e-5
"""Constant added to a variance, as in PyTorch's normalization layers."""
_SCALES = (2.0, 8.0, 8.0)
"""Factors of the mean, deviation and trend of learned features: the trends of small objects are a
tenth of their means, and a classifier learns little from them with the recipe's learning rate."""
MOTION_PARTS = 3
"""Number of rows and of columns of a frame in which the activity head reads motion."""
Statistics = Literal["mean", "mean_deviation_trend"]
"""Statistics of a feature over time: one or three."""


class Classifier(nn.Linear):
    """Linear layer that computes in the precision of its weights, even under autocast, because the
    eight significant bits of bfloat16 could make logits of different classes equal."""

    def forward(self, feats: Tensor) -> Tensor:
        """Return (..., A) logits of (..., D) features."""
        with torch.autocast(feats.device.type, enabled=False):
            return super().forward(feats.to(self.weight.dtype))


class RecurrentClassifier(nn.Module):
    """GRU over the steps, sum or mean of its states, and a linear layer with bias."""

    def __init__(
        self,
        feature_width: int,
        state_width: int,
        num_activities: int,
        *,
        states: Literal["sum", "mean"] = "sum",
    ) -> None:
        super().__init__()
        self.states = states
        self.gru = nn.GRU(feature_width, state_width, batch_first=True)
        self.classify = Classifier(state_width, num_activities)

    def forward(self, feats_BTD: Tensor, seconds_BT: Tensor | None = None) -> Tensor:
        """Return (B, A) logits; without any steps (T = 0), the bias. Times are not read."""
        if feats_BTD.shape[1] == 0:
            return self.classify(feats_BTD.new_zeros(len(feats_BTD), self.gru.hidden_size))
        states_BTR, _ = self.gru(feats_BTD)
        pooled_BR = states_BTR.sum(dim=1) if self.states == "sum" else states_BTR.mean(dim=1)
        return self.classify(pooled_BR)


class SummedMlpClassifier(nn.Module):
    """MLP on each step, the sum of its outputs, and a linear layer: f in eq. (3) without recurrence
    ("ORN-mlp" in Table 2)."""

    def __init__(self, feature_width: int, state_width: int, num_activities: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(feature_width, state_width),
            nn.ReLU(),
            nn.Linear(state_width, state_width),
            nn.ReLU(),
        )
        self.classify = Classifier(state_width, num_activities)

    def forward(self, feats_BTD: Tensor, seconds_BT: Tensor | None = None) -> Tensor:
        """Return (B, A) logits; without any steps (T = 0), the bias. Times are not read."""
        return self.classify(self.mlp(feats_BTD).sum(dim=1))


class StatisticsClassifier(nn.Module):
    """Statistics over the steps and a linear layer: the mean alone ("GAP" in Table 5), or, not in
    the paper, mean, standard deviation and trend. Mean and deviation, as in the statistics pooling
    of Snyder et al. 2018 (x-vectors), are the same for a clip and its reverse; the trend is
    negated."""

    def __init__(
        self,
        feature_width: int,
        num_activities: int,
        *,
        statistics: Statistics,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.feature_width = feature_width
        self.is_mean = statistics == "mean"
        self.dropout = nn.Dropout(dropout)
        width = feature_width if self.is_mean else len(_SCALES) * feature_width
        self.classify = Classifier(width, num_activities)

    def forward(self, feats_BTD: Tensor, seconds_BT: Tensor) -> Tensor:
        """Return (B, A) logits of learned features, whose statistics are scaled unless the mean is
        the only one; without any steps (T = 0), the bias."""
        state_BR = self.state(feats_BTD, seconds_BT)
        if not self.is_mean:
            parts = state_BR.split(self.feature_width, dim=1)
            scaled = [scale * part_BD for scale, part_BD in zip(_SCALES, parts, strict=True)]
            state_BR = torch.cat(scaled, dim=1)
        return self.classify_state(state_BR)

    def classify_state(self, state_BR: Tensor) -> Tensor:
        """Return (B, A) logits of the inputs of the linear layer, to which dropout is applied."""
        logits_BA: Tensor = self.classify(self.dropout(state_BR))
        return logits_BA

    def state(self, feats_BTD: Tensor, seconds_BT: Tensor) -> Tensor:
        """Return (B, R) inputs of the linear layer."""
        if feats_BTD.shape[1] == 0:
            return feats_BTD.new_zeros(len(feats_BTD), self.classify.in_features)
        return feats_BTD.mean(dim=1) if self.is_mean else over_time(feats_BTD, seconds_BT)


SequenceClassifier = RecurrentClassifier | SummedMlpClassifier | StatisticsClassifier


def over_time(feats_BTD: Tensor, seconds_BT: Tensor) -> Tensor:
    """Return (B, 3 D): mean, standard deviation and trend of features over T >= 1 steps.

    The deviation is that of all T steps and not an estimate from a sample. The trend is the
    covariance of a feature with the time of its step, divided by the deviation of the times; zero
    if all times are equal.
    """
    mean_BD = feats_BTD.mean(dim=1)
    centered_BTD = feats_BTD - mean_BD[:, None]
    deviation_BD = (centered_BTD.square().mean(dim=1) + _EPSILON).sqrt()
    since_BT = seconds_BT - seconds_BT.mean(dim=1, keepdim=True)
    spread_B1 = since_BT.square().mean(dim=1, keepdim=True).sqrt()
    weight_BT = torch.where(spread_B1 > 0, since_BT / spread_B1, 0.0)
    trend_BD = (centered_BTD * weight_BT[..., None].to(feats_BTD.dtype)).mean(dim=1)
    return torch.cat([mean_BD, deviation_BD, trend_BD], dim=1)


class ActivityHead(nn.Module):
    """Compute logits y1 (eq. 10) from the spatial means of conv5's features over time."""

    def __init__(
        self, conv5: Stage, classifier: RecurrentClassifier | StatisticsClassifier
    ) -> None:
        """Combine conv5 with a classifier of its `out_channels` features."""
        super().__init__()
        self.conv5 = conv5
        self.classifier = classifier

    def forward(self, trunk_MChw: Tensor, num_frames: int, seconds_BT: Tensor) -> Tensor:
        """Return (B, A) logits of clips with `num_frames` frames."""
        feats_MDhw = self.conv5(trunk_MChw, num_frames)
        feats_BTD = feats_MDhw.mean(dim=(2, 3)).unflatten(0, (-1, num_frames))
        logits_BA: Tensor = self.classifier(feats_BTD, seconds_BT)
        return logits_BA


class MapActivityHead(nn.Module):
    """Compute logits y1 (eq. 10) from maps over time: means of a network's map over the frame, and
    means of a motion map over each of 3 x 3 parts of it, which say where something moves.

    A GRU reads the standardized means of each frame. Otherwise, their mean over time, or their
    statistics (`over_time`), are standardized, and a linear layer classifies them; few clips allow
    no more.
    """

    def __init__(
        self,
        channels: int,
        num_activities: int,
        *,
        aggregation: Aggregation,
        motion_channels: int = 0,
        state_width: int = 512,
        dropout: float = 0.0,
    ) -> None:
        """Build the head.

        Args:
            channels: number of channels of the map, with its change and with motion if it is read.
            num_activities: number of classes A.
            aggregation: aggregation over time.
            motion_channels: number of channels of motion, the last ones of the map.
            state_width: width of the GRU's state.
            dropout: dropout probability before the classifier.
        """
        super().__init__()
        self.map_channels = channels - motion_channels
        width = self.map_channels + motion_channels * MOTION_PARTS**2
        self.classifier: RecurrentClassifier | StatisticsClassifier
        if aggregation == "rnn":
            self.classifier = RecurrentClassifier(width, state_width, num_activities)
        else:
            self.classifier = StatisticsClassifier(
                width, num_activities, statistics=aggregation, dropout=dropout
            )
            width = self.classifier.classify.in_features
        self.standardize = Standardizer(width)

    def forward(self, maps_MChw: Tensor, num_frames: int, seconds_BT: Tensor) -> Tensor:
        """Return (B, A) logits of clips with `num_frames` frames."""
        feats_MC = maps_MChw[:, : self.map_channels].mean(dim=(2, 3))
        if maps_MChw.shape[1] > self.map_channels:
            motion_MX = means_of_parts(maps_MChw[:, self.map_channels :])
            feats_MC = torch.cat([feats_MC, motion_MX], dim=1)
        feats_BTC = feats_MC.unflatten(0, (-1, num_frames))
        if isinstance(self.classifier, RecurrentClassifier):
            logits_BA: Tensor = self.classifier(self.standardize(feats_BTC))
            return logits_BA
        state_BR = self.standardize(self.classifier.state(feats_BTC, seconds_BT))
        return self.classifier.classify_state(state_BR)


def means_of_parts(maps_MChw: Tensor) -> Tensor:
    """Return (M, 9 C) means over each of 3 x 3 parts of a map, which share cells between them."""
    return functional.adaptive_avg_pool2d(maps_MChw, MOTION_PARTS).flatten(1)
