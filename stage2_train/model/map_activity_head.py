"""The activity head on the maps of an image network.

B clips, T frames per clip, M = B * T frames folded, C channels of the map, h w cells, A activity
classes.
"""

from typing import Literal

from torch import Tensor, nn

from orn.stage2_train.model.heads import (
    MeanAndDeviationClassifier,
    MeanClassifier,
    RecurrentClassifier,
)
from orn.stage2_train.model.standardize import Standardizer
from orn.stage2_train.settings.model_config import Aggregation


class MapActivityHead(nn.Module):
    """Compute logits y1 (eq. 10) from the spatial means of a map over time.

    A GRU reads the standardized means of each frame. Otherwise, the mean over time, or mean and
    deviation, are standardized, and a linear layer classifies them; few clips allow no more.
    """

    def __init__(
        self,
        channels: int,
        num_activities: int,
        *,
        aggregation: Aggregation,
        state_width: int = 512,
        states: Literal["sum", "mean"] = "sum",
        dropout: float = 0.0,
    ) -> None:
        """Build the head.

        Args:
            channels: number of channels C of the map, with its change if it is read.
            num_activities: number of classes A.
            aggregation: aggregation over time.
            state_width: width of the GRU's state.
            states: pooling of the GRU's states over time.
            dropout: dropout probability before the classifier.
        """
        super().__init__()
        self.recurrent: RecurrentClassifier | None = None
        self.classifier: MeanClassifier | None = None
        width = channels
        if aggregation == "rnn":
            self.recurrent = RecurrentClassifier(
                channels, state_width, num_activities, states=states
            )
        elif aggregation == "mean":
            self.classifier = MeanClassifier(channels, num_activities, dropout=dropout)
        else:
            self.classifier = MeanAndDeviationClassifier(channels, num_activities, dropout=dropout)
            width = 2 * channels
        self.standardize = Standardizer(width)

    def forward(self, maps_MChw: Tensor, num_frames: int) -> Tensor:
        """Return (B, A) logits of clips with `num_frames` frames."""
        feats_BTC = maps_MChw.mean(dim=(2, 3)).unflatten(0, (-1, num_frames))
        if self.classifier is not None:
            state_BR = self.standardize(self.classifier.state(feats_BTC))
            return self.classifier.classify_state(state_BR)
        assert self.recurrent is not None
        logits_BA: Tensor = self.recurrent(self.standardize(feats_BTC))
        return logits_BA
