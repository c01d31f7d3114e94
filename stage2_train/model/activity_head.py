"""The activity head: features of whole frames (section 3.3).

B clips, T frames per clip, M = B * T frames folded, C channels before conv5, D channels of conv5,
h w cells, A activity classes.
"""

from torch import Tensor, nn

from orn.stage2_train.model.heads import MeanClassifier, RecurrentClassifier
from orn.stage2_train.model.resnet_25d import Stage
from orn.stage2_train.settings.model_config import NetworkConfig


class ActivityHead(nn.Module):
    """Compute logits y1 (eq. 10) from the spatial means of conv5's features over time."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.conv5 = Stage(config, number=5, stride=config.conv5_activity_stride)
        self.classifier: RecurrentClassifier | MeanClassifier
        if config.aggregation == "rnn":
            self.classifier = RecurrentClassifier(
                config.feature_width,
                config.activity_state,
                config.num_activities,
                states=config.gru_pooling,
            )
        else:
            self.classifier = MeanClassifier(config.feature_width, config.num_activities)

    def forward(self, trunk_MChw: Tensor, num_frames: int) -> tuple[Tensor, Tensor]:
        """Return (B, A) logits of clips with `num_frames` frames, and the (B, R) state s in eq. (9)
        from which they are computed."""
        feats_MDhw = self.conv5(trunk_MChw, num_frames)
        state_BR = self.classifier.state(feats_MDhw.mean(dim=(2, 3)).unflatten(0, (-1, num_frames)))
        return self.classifier.classify(state_BR), state_BR
