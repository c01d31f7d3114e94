"""I3D: Inception-v1 with 3D kernels (Carreira and Zisserman 2017, figure 3).

B clips, t time steps, C channels, h w cells, A activity classes. Parameters have the same names as
in torchvision's GoogLeNet, whose ImageNet weights, replicated over time, can initialize them.

Differences from the paper, for clips of 4 or 8 frames spread over a whole video:
- Temporal strides of 2 (conv1, and the poolings before inception 4a and 5a) apply only while there
  are at least two time steps, so that no clip is too short; 8 frames are reduced to 1 step.
- Convolutions pad the time axis by repeating the first and last frame. With zero padding, a kernel
  over 7 frames would read mostly zeros. A clip of identical frames gives the 2D network's features.
- torchvision's GoogLeNet has 3 x 3 kernels where Inception-v1 has 5 x 5, and no padded pooling.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from orn.stage2_train.model.heads import Classifier
from orn.stage2_train.model.inputs import ClipBatch, FrameNormalizer, NetworkOutput
from orn.stage2_train.settings.model_config import Heads

_DROPOUT = 0.5
_BN_EPSILON = 1e-3
_HALF = (0.5, 0.5, 0.5)
"""Mean and standard deviation of colors with which torchvision's GoogLeNet was trained."""

# Name: channels of the 1 x 1 branch, of the two 3 x 3 branches (before, after), of the pool branch.
_INCEPTIONS: dict[str, tuple[int, int, int, int, int, int]] = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}


class _Unit(nn.Module):
    """k x k x k convolution, batch normalization and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, size: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            in_channels,
            out_channels,
            size,
            stride=stride,
            padding=(0, size // 2, size // 2),
            bias=False,
        )
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        self.bn = nn.BatchNorm3d(out_channels, eps=_BN_EPSILON)

    def forward(self, feats_BCthw: Tensor) -> Tensor:
        """Return (B, C', t', h', w') features."""
        beyond = self.conv.kernel_size[0] // 2
        if beyond:
            feats_BCthw = functional.pad(
                feats_BCthw, (0, 0, 0, 0, beyond, beyond), mode="replicate"
            )
        feats_BCthw = self.conv(feats_BCthw)
        return functional.relu_(self.bn(feats_BCthw))


class _Inception(nn.Module):
    """Inception block with four parallel branches."""

    def __init__(self, in_channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        single, before2, after2, before3, after3, pooled = widths
        self.out_channels = single + after2 + after3 + pooled
        self.branch1 = _Unit(in_channels, single, size=1)
        self.branch2 = nn.Sequential(
            _Unit(in_channels, before2, size=1), _Unit(before2, after2, size=3)
        )
        self.branch3 = nn.Sequential(
            _Unit(in_channels, before3, size=1), _Unit(before3, after3, size=3)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool3d(3, stride=1, padding=1), _Unit(in_channels, pooled, size=1)
        )

    def forward(self, feats_BCthw: Tensor) -> Tensor:
        """Return (B, C', t, h, w) features."""
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([branch(feats_BCthw) for branch in branches], dim=1)


class I3D(nn.Module):
    """Network that classifies a clip from its frames alone."""

    def __init__(self, num_activities: int, *, base_width: int = 64) -> None:
        """Initialize random weights; the paper's channels are scaled by base_width / 64."""
        super().__init__()
        self.base_width = base_width
        self.normalize_frames = FrameNormalizer(mean=_HALF, std=_HALF)

        def scaled(channels: int) -> int:
            return max(1, channels * base_width // 64)

        self.conv1 = _Unit(3, scaled(64), size=7, stride=2)
        self.conv2 = _Unit(scaled(64), scaled(64), size=1)
        self.conv3 = _Unit(scaled(64), scaled(192), size=3)
        width = scaled(192)
        for name, widths in _INCEPTIONS.items():
            inception = _Inception(width, tuple(scaled(channels) for channels in widths))
            self.add_module(name, inception)
            width = inception.out_channels
        self.dropout = nn.Dropout(_DROPOUT)
        self.classify = Classifier(width, num_activities)

    def forward(
        self,
        batch: ClipBatch,
        *,
        heads: Heads | None = None,
        generator: torch.Generator | None = None,
    ) -> NetworkOutput:
        """Return the logits of every clip, the mean over time steps; see `build_network`."""
        feats_BCthw = self.features(self.normalize_frames.video(batch.required("frames_BTCHW")))
        feats_BtC = feats_BCthw.mean(dim=(3, 4)).transpose(1, 2)
        logits_BtA = self.classify(self.dropout(feats_BtC))
        return NetworkOutput(activity_logits_BA=logits_BtA.mean(dim=1))

    def features(self, video_B3THW: Tensor) -> Tensor:
        """Return (B, C, t, h, w) features of inception 5b from normalized clips."""
        feats_BCthw = _max_pool(self.conv1(video_B3THW), size=3)
        feats_BCthw = _max_pool(self.conv3(self.conv2(feats_BCthw)), size=3)
        for name in _INCEPTIONS:
            if name == "inception4a":
                feats_BCthw = _max_pool(feats_BCthw, size=3, time_size=3)
            elif name == "inception5a":
                feats_BCthw = _max_pool(feats_BCthw, size=2, time_size=2)
            feats_BCthw = self.get_submodule(name)(feats_BCthw)
        return feats_BCthw


def _max_pool(feats_BCthw: Tensor, *, size: int, time_size: int = 1) -> Tensor:
    """Max-pool with stride 2 in space and, given a temporal kernel and two steps or more, in
    time."""
    feats_BCthw = functional.max_pool3d(
        feats_BCthw, (1, size, size), stride=(1, 2, 2), ceil_mode=True
    )
    if time_size == 1 or feats_BCthw.shape[2] == 1:
        return feats_BCthw
    kernel, padding = (time_size, 1, 1), ((time_size - 1) // 2, 0, 0)
    return functional.max_pool3d(feats_BCthw, kernel, stride=(2, 1, 1), padding=padding)
