"""From vectors in time to logits (eq. 5, 9, 10, 11), and what the paper compares that with.

B clips, T steps in time, D features of a step, R numbers of the state, A activity classes, V
variants of the clips that differ in their last t steps.
"""

from typing import Literal

import torch
from torch import Tensor, nn


class Classifier(nn.Linear):
    """Linear layer that computes in the precision of its weights, also under autocast: bfloat16 has
    eight significant bits, so logits of different classes would tie."""

    def forward(self, feats: Tensor) -> Tensor:
        """(..., A) logits of (..., D) features."""
        with torch.autocast(feats.device.type, enabled=False):
            return super().forward(feats.to(self.weight.dtype))


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
        self.classify = Classifier(state_width, num_activities)

    def forward(self, feats_BTD: Tensor) -> Tensor:
        """(B, A) logits; without any step (T = 0) the states sum to zero and the bias is left."""
        return self.classify(self.state(feats_BTD))

    def state(self, feats_BTD: Tensor) -> Tensor:
        """(B, R) what is classified: the sum or the mean of the states."""
        if feats_BTD.shape[1] == 0:
            return feats_BTD.new_zeros(len(feats_BTD), self.gru.hidden_size)
        states_BTR, _ = self.gru(feats_BTD)
        return states_BTR.sum(dim=1) if self.states == "sum" else states_BTR.mean(dim=1)

    def with_later(self, feats_BTD: Tensor, clip_V: Tensor, later_VtD: Tensor) -> Tensor:
        """(V, A) logits of variants of the clips `clip_V` with other last steps, at least one; the
        steps before them are computed once a clip."""
        num_steps, num_later = feats_BTD.shape[1], later_VtD.shape[1]
        state_1BR = feats_BTD.new_zeros(1, len(feats_BTD), self.gru.hidden_size)
        total_BR = state_1BR[0]
        if num_later < num_steps:
            states_BTR, state_1BR = self.gru(feats_BTD[:, : num_steps - num_later])
            total_BR = states_BTR.sum(dim=1)
        states_VtR, _ = self.gru(later_VtD, state_1BR[:, clip_V])
        total_VR = total_BR[clip_V] + states_VtR.sum(dim=1)
        return self.classify(total_VR if self.states == "sum" else total_VR / num_steps)


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
        self.classify = Classifier(state_width, num_activities)

    def forward(self, feats_BTD: Tensor) -> Tensor:
        """(B, A) logits; the bias where there is no step (T = 0)."""
        return self.classify(self.state(feats_BTD))

    def state(self, feats_BTD: Tensor) -> Tensor:
        """(B, R) what is classified: the sum over the steps."""
        return self.mlp(feats_BTD).sum(dim=1)

    def with_later(self, feats_BTD: Tensor, clip_V: Tensor, later_VtD: Tensor) -> Tensor:
        """(V, A) logits of variants; see `RecurrentClassifier.with_later`."""
        earlier_BTD = feats_BTD[:, : feats_BTD.shape[1] - later_VtD.shape[1]]
        total_VR = self.mlp(earlier_BTD).sum(dim=1)[clip_V] + self.mlp(later_VtD).sum(dim=1)
        return self.classify(total_VR)


class MeanClassifier(nn.Module):
    """The mean over the steps and a linear layer ("GAP" in Table 5)."""

    def __init__(self, feature_width: int, num_activities: int) -> None:
        super().__init__()
        self.classify = Classifier(feature_width, num_activities)

    def forward(self, feats_BTD: Tensor) -> Tensor:
        """(B, A) logits; the bias where there is no step (T = 0)."""
        return self.classify(self.state(feats_BTD))

    def state(self, feats_BTD: Tensor) -> Tensor:
        """(B, D) what is classified: the mean over the steps."""
        if feats_BTD.shape[1] == 0:
            return feats_BTD.new_zeros(len(feats_BTD), feats_BTD.shape[2])
        return feats_BTD.mean(dim=1)


class JointClassifier(nn.Module):
    """MLP of the states of both heads, W2 relu(W1 [s; r] + b1) + b2, whose output is added to the
    mean of their logits (not in the paper). W2 and b2 are initialized to zero, so that training
    begins with the mean."""

    def __init__(self, activity_width: int, object_width: int, num_activities: int) -> None:
        """The hidden layer is as wide as the wider of both states."""
        super().__init__()
        hidden_width = max(activity_width, object_width)
        self.hidden = nn.Linear(activity_width + object_width, hidden_width)
        self.classify = Classifier(hidden_width, num_activities)
        nn.init.zeros_(self.classify.weight)
        nn.init.zeros_(self.classify.bias)

    def forward(self, activity_state_BS: Tensor, object_state_BR: Tensor) -> Tensor:
        """(B, A) logits from what the classifier of each head reads."""
        both_BE = torch.cat([activity_state_BS, object_state_BR], dim=1)
        return self.classify(torch.relu(self.hidden(both_BE)))
