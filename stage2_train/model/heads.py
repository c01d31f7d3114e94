"""From vectors in time to logits, in the same way for both heads (eq. 5 and 11, eq. 9 and 10).

B clips, T steps in time, D features of a step, R numbers of the recurrent state, A activity
classes.
"""

from torch import Tensor, nn

__all__ = ["RecurrentClassifier"]


class RecurrentClassifier(nn.Module):
    """A GRU over the steps, the sum of its states, and a linear layer with bias."""

    def __init__(self, feature_width: int, state_width: int, num_activities: int) -> None:
        super().__init__()
        self.gru = nn.GRU(feature_width, state_width, batch_first=True)
        self.classify = nn.Linear(state_width, num_activities)

    def forward(self, feats_BTD: Tensor) -> Tensor:
        """(B, A) logits; without any step (T = 0) the states sum to zero and the bias is left."""
        if feats_BTD.shape[1] == 0:
            return self.classify(feats_BTD.new_zeros(len(feats_BTD), self.gru.hidden_size))
        states_BTR, _ = self.gru(feats_BTD)
        return self.classify(states_BTR.sum(dim=1))
