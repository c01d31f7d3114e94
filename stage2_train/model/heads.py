"""From vectors in time to logits (eq. 5, 9, 10, 11), and what the paper compares that with.

B clips, T steps in time, D features of a step, R numbers of the state, A activity classes.
"""

from typing import Literal

from torch import Tensor, nn


class RecurrentClassifier(nn.Module):
    """A GRU over the steps, the sum or the mean of its states, and a linear layer with bias."""

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
        self.classify = nn.Linear(state_width, num_activities)

    def forward(self, feats_BTD: Tensor) -> Tensor:
        """(B, A) logits; without any step (T = 0) the states sum to zero and the bias is left."""
        if feats_BTD.shape[1] == 0:
            return self.classify(feats_BTD.new_zeros(len(feats_BTD), self.gru.hidden_size))
        states_BTR, _ = self.gru(feats_BTD)
        return self.classify(
            states_BTR.sum(dim=1) if self.states == "sum" else states_BTR.mean(dim=1)
        )


class SummedMlpClassifier(nn.Module):
    """An MLP on each step, the sum of its outputs, and a linear layer: f of eq. (3) without a
    recurrence ("ORN-mlp" in Table 2)."""

    def __init__(self, feature_width: int, state_width: int, num_activities: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(feature_width, state_width),
            nn.ReLU(),
            nn.Linear(state_width, state_width),
            nn.ReLU(),
        )
        self.classify = nn.Linear(state_width, num_activities)

    def forward(self, feats_BTD: Tensor) -> Tensor:
        """(B, A) logits; the bias where there is no step (T = 0)."""
        return self.classify(self.mlp(feats_BTD).sum(dim=1))


class MeanClassifier(nn.Module):
    """The mean over the steps and a linear layer ("GAP" in Table 5)."""

    def __init__(self, feature_width: int, num_activities: int) -> None:
        super().__init__()
        self.classify = nn.Linear(feature_width, num_activities)

    def forward(self, feats_BTD: Tensor) -> Tensor:
        """(B, A) logits; the bias where there is no step (T = 0)."""
        if feats_BTD.shape[1] == 0:
            return self.classify(feats_BTD.new_zeros(len(feats_BTD), feats_BTD.shape[2]))
        return self.classify(feats_BTD.mean(dim=1))
