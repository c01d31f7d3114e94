"""ResNet over frames with temporal kernels in selected stages (section 4, Table 5).

M frames of all clips folded into one axis (M = B * T, clip after clip), C channels, D channels of
conv5, h w cells. Feature maps are always in channels_last memory format: a clip's frames are then
rows of one matrix, so that the temporal kernel is a 2D convolution on the same memory, without a
copy and without a slow 3D convolution.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from orn.stage2_train.settings.model_config import Kernel, TemporalInitialization

Depth = Literal["resnet18", "resnet50"]
"""Basic blocks, or bottlenecks."""
_BLOCKS: dict[Depth, tuple[int, ...]] = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}


class TemporalConv(nn.Module):
    """3 x 1 x 1 convolution over the frames of a clip, zero-padded; initially the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 1))
        self.reset_to_identity()

    @torch.no_grad()
    def reset_to_identity(self) -> None:
        """Set the kernel to the identity: 1 at the center, from each channel to itself."""
        nn.init.zeros_(self.weight)
        self.weight[:, :, 1, 0].fill_diagonal_(1)

    def forward(self, feats_MChw: Tensor, num_frames: int) -> Tensor:
        """Return (M, C, h, w) features of clips with `num_frames` frames."""
        _, channels, height, width = feats_MChw.shape
        cells_MhwC = feats_MChw.permute(0, 2, 3, 1)
        feats_BTPC = cells_MhwC.reshape(-1, num_frames, height * width, channels)
        mixed_BCTP = functional.conv2d(feats_BTPC.permute(0, 3, 1, 2), self.weight, padding=(1, 0))
        mixed_MhwC = mixed_BCTP.permute(0, 2, 3, 1).reshape(-1, height, width, channels)
        return mixed_MhwC.permute(0, 3, 1, 2)


class SpaceTimeConv(nn.Module):
    """3 x k x k convolution over a clip, zero-padded: a 3D kernel."""

    def __init__(
        self, spatial_weight: Tensor, *, stride: int, initialization: TemporalInitialization
    ) -> None:
        """Initialize from a (C', C, k, k) 2D kernel; see `inflated`."""
        super().__init__()
        self.stride = stride
        self.initialization = initialization
        self.weight = nn.Parameter(self.inflated(spatial_weight))

    def inflated(self, spatial_weight: Tensor) -> Tensor:
        """Return the (C', C, 3, k, k) 3D kernel made from a 2D kernel: the 2D kernel at the center
        (`identity`), or a third of it at each time (`replicate`)."""
        if self.initialization == "replicate":
            return spatial_weight[:, :, None].expand(-1, -1, 3, -1, -1) / 3
        beside = torch.zeros_like(spatial_weight)
        return torch.stack([beside, spatial_weight, beside], dim=2)

    def forward(self, feats_MChw: Tensor, num_frames: int) -> Tensor:
        """Return (M, C', h', w') features of clips with `num_frames` frames."""
        clips_BCThw = feats_MChw.unflatten(0, (-1, num_frames)).transpose(1, 2)
        padding = self.weight.shape[-1] // 2
        mixed_BCThw = functional.conv3d(
            clips_BCThw,
            self.weight,
            stride=(1, self.stride, self.stride),
            padding=(1, padding, padding),
        )
        mixed_MChw = mixed_BCThw.transpose(1, 2).flatten(0, 1)
        return mixed_MChw.contiguous(memory_format=torch.channels_last)


class FrameConv(nn.Module):
    """k x k convolution of each frame (2D), followed by one over time (2.5D), or 3D convolution."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        size: int,
        stride: int = 1,
        kernel: Kernel = "2d",
        initialization: TemporalInitialization = "identity",
        is_temporal_last: bool = False,
    ) -> None:
        """Build the convolution; with `is_temporal_last`, the temporal kernel of a 2.5D unit is
        applied in `mix_times`."""
        super().__init__()
        self.is_temporal_last = is_temporal_last
        spatial = nn.Conv2d(
            in_channels, out_channels, size, stride=stride, padding=size // 2, bias=False
        )
        nn.init.kaiming_normal_(spatial.weight, mode="fan_out", nonlinearity="relu")
        self.spatial = self.temporal = self.space_time = None
        if kernel == "3d":
            self.space_time = SpaceTimeConv(
                spatial.weight.detach(), stride=stride, initialization=initialization
            )
        else:
            self.spatial = spatial
            self.temporal = TemporalConv(out_channels) if kernel == "2.5d" else None

    def forward(self, feats_MChw: Tensor, num_frames: int) -> Tensor:
        """Return (M, C', h', w') features before normalization."""
        if self.spatial is None:
            assert self.space_time is not None
            return self.space_time(feats_MChw, num_frames)
        spatial_MChw = self.spatial(feats_MChw)
        if self.temporal is None or self.is_temporal_last:
            return spatial_MChw
        return self.temporal(spatial_MChw, num_frames)

    def mix_times(self, feats_MChw: Tensor, num_frames: int) -> Tensor:
        """Return normalized (M, C', h', w') features after the temporal kernel and a ReLU, or
        unchanged if there is no temporal kernel or `forward` has applied it."""
        if self.temporal is None or not self.is_temporal_last:
            return feats_MChw
        return functional.relu_(self.temporal(feats_MChw, num_frames))


class _Downsample(nn.Module):
    """1 x 1 convolution and normalization for the shortcut of a block that changes the shape.

    A 1 x 1 convolution with stride s reads only every s-th row and column. They are sliced first,
    because the gradient of a strided 1 x 1 convolution of fewer than 8 channels in oneDNN 3.12
    writes past its buffer on CPUs without AVX-512
    (https://github.com/uxlfoundation/oneDNN/issues/6035).
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, feats_MChw: Tensor) -> Tensor:
        return self.bn(self.conv(feats_MChw[..., :: self.stride, :: self.stride]))


class Block(nn.Module):
    """Residual block whose 3 x 3 convolutions may be temporal.

    A basic block (ResNet-18) has two 3 x 3 convolutions; a bottleneck (ResNet-50) has 1 x 1, 3 x 3
    and 1 x 1.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int,
        wide: Callable[..., FrameConv],
        is_bottleneck: bool,
    ) -> None:
        """Build the block; `wide` builds its 3 x 3 convolutions."""
        super().__init__()
        self.out_channels = channels * (4 if is_bottleneck else 1)
        if is_bottleneck:
            self.conv1 = FrameConv(in_channels, channels, size=1)
            self.bn1 = nn.BatchNorm2d(channels)
            self.conv2 = wide(channels, channels, stride=stride)
            self.bn2 = nn.BatchNorm2d(channels)
            self.conv3 = FrameConv(channels, self.out_channels, size=1)
            self.bn3 = nn.BatchNorm2d(self.out_channels)
        else:
            self.conv1 = wide(in_channels, channels, stride=stride)
            self.bn1 = nn.BatchNorm2d(channels)
            self.conv2 = wide(channels, channels)
            self.bn2 = nn.BatchNorm2d(channels)
        self.is_bottleneck = is_bottleneck
        self.downsample = None
        if stride != 1 or in_channels != self.out_channels:
            self.downsample = _Downsample(in_channels, self.out_channels, stride=stride)

    def forward(self, feats_MChw: Tensor, num_frames: int) -> Tensor:
        """Return (M, C', h', w') features after the last ReLU."""
        shortcut_MChw = feats_MChw if self.downsample is None else self.downsample(feats_MChw)
        hidden_MChw = functional.relu_(self.bn1(self.conv1(feats_MChw, num_frames)))
        hidden_MChw = self.conv1.mix_times(hidden_MChw, num_frames)
        hidden_MChw = self.bn2(self.conv2(hidden_MChw, num_frames))
        if not self.is_bottleneck:
            hidden_MChw = functional.relu_(hidden_MChw.add_(shortcut_MChw))
            return self.conv2.mix_times(hidden_MChw, num_frames)
        hidden_MChw = self.conv2.mix_times(functional.relu_(hidden_MChw), num_frames)
        hidden_MChw = self.bn3(self.conv3(hidden_MChw, num_frames))
        return functional.relu_(hidden_MChw.add_(shortcut_MChw))


class Stage(nn.Module):
    """The blocks of one stage (conv2 to conv5)."""

    def __init__(
        self,
        number: int,
        *,
        stride: int,
        depth: Depth = "resnet18",
        base_width: int = 64,
        kernel: Kernel = "2d",
        conv: Callable[..., FrameConv] = FrameConv,
    ) -> None:
        """Build a stage.

        Args:
            number: 2 for conv2 to 5 for conv5.
            stride: stride of its first block.
            depth: kind and number of its blocks.
            base_width: number of channels of conv1.
            kernel: type of its 3 x 3 kernels.
            conv: builds these convolutions, possibly with other options.
        """
        super().__init__()
        wide = partial(conv, size=3, kernel=kernel)
        is_bottleneck = depth == "resnet50"
        channels = base_width * 2 ** (number - 2)
        width = channels // 2 * (4 if is_bottleneck else 1) if number > 2 else base_width
        blocks = []
        for index in range(_BLOCKS[depth][number - 2]):
            block = Block(
                width,
                channels,
                stride=stride if index == 0 else 1,
                wide=wide,
                is_bottleneck=is_bottleneck,
            )
            blocks.append(block)
            width = block.out_channels
        self.out_channels = width
        self.blocks = nn.ModuleList(blocks)

    def forward(self, feats_MChw: Tensor, num_frames: int) -> Tensor:
        """Return (M, C', h', w') features."""
        for block in self.blocks:
            feats_MChw = block(feats_MChw, num_frames)
        return feats_MChw


class Trunk(nn.Module):
    """conv1 to conv4, shared by both heads."""

    def __init__(
        self,
        kernels: Sequence[Kernel] = ("2d",) * 4,
        *,
        depth: Depth = "resnet18",
        base_width: int = 64,
        conv: Callable[..., FrameConv] = FrameConv,
    ) -> None:
        """Build the trunk with `kernels` of conv1 to conv4; for the others, see `Stage`."""
        super().__init__()
        self.conv1 = conv(3, base_width, size=7, stride=2, kernel=kernels[0])
        self.bn1 = nn.BatchNorm2d(base_width)
        stage = partial(Stage, depth=depth, base_width=base_width, conv=conv)
        self.conv2 = stage(2, stride=1, kernel=kernels[1])
        self.conv3 = stage(3, stride=2, kernel=kernels[2])
        self.conv4 = stage(4, stride=2, kernel=kernels[3])

    def forward(self, frames_M3HW: Tensor, num_frames: int) -> Tensor:
        """Return (M, D / 2, H / 16, W / 16) features of normalized frames; sizes are rounded up."""
        hidden_MChw = functional.relu_(self.bn1(self.conv1(frames_M3HW, num_frames)))
        hidden_MChw = self.conv1.mix_times(hidden_MChw, num_frames)
        hidden_MChw = functional.max_pool2d(hidden_MChw, 3, stride=2, padding=1)
        hidden_MChw = self.conv2(hidden_MChw, num_frames)
        hidden_MChw = self.conv3(hidden_MChw, num_frames)
        return self.conv4(hidden_MChw, num_frames)
