"""The whole network in NCHW, with the object head as plain loops: what ours is measured against.

2D stages convolve B * T images; 2.5D stages hold clips as (B, C, T, h, w) and use ordinary 3D
convolutions of 1 x k x k and 3 x 1 x 1 numbers, as the authors' released code does. Weights are
those of an `ObjectVideoNetwork`, and so are the results.

B clips, T frames, M = B * T frames folded, C channels, h w cells.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.plain_loops import PlainObjectHead, gradients_by_name
from stage2_train.model.config import Heads
from stage2_train.model.inputs import NetworkInputs, NetworkOutput
from stage2_train.model.network import ObjectVideoNetwork
from stage2_train.model.resnet_25d import FrameConv, Stage

__all__ = ["PlainNetwork"]


class PlainNetwork(nn.Module):
    """What an `ObjectVideoNetwork` of the paper's full model computes in training."""

    def __init__(self, network: ObjectVideoNetwork) -> None:
        """Copies the weights."""
        super().__init__()
        network = copy.deepcopy(network)
        self.normalise_frames = network.normalise_frames
        self.trunk = network.trunk
        self.activity_head = network.activity_head
        self.object_conv5 = network.object_head.conv5
        self.object_head = PlainObjectHead(network.object_head)
        for parameter in self.parameters():
            parameter.data = parameter.data.contiguous()

    def forward(
        self,
        batch: NetworkInputs,
        *,
        heads: Heads = "both",
        generator: torch.Generator | None = None,
    ) -> NetworkOutput:
        """Logits of both heads; called as the network is."""
        assert heads == "both"
        num_frames = batch.frames_BTCHW.shape[1]
        trunk_MChw = self._trunk(batch.frames_BTCHW)
        objects_BDThw = _stage(self.object_conv5, trunk_MChw, num_frames)
        object_logits_BA, class_logits_BTKS = self.object_head(
            objects_BDThw, batch, generator=generator
        )
        activity_BDThw = _stage(self.activity_head.conv5, trunk_MChw, num_frames)
        context_BTD = activity_BDThw.mean(dim=(3, 4)).transpose(1, 2)
        return NetworkOutput(
            activity_logits_BA=self.activity_head.classifier(context_BTD),
            object_logits_BA=object_logits_BA,
            class_logits_BTKS=class_logits_BTKS,
        )

    def gradients_by_name(self) -> dict[str, Tensor]:
        """The gradients by the names that the network copied has for its weights."""
        gradients = {
            name.replace("object_conv5.", "object_head.conv5."): parameter.grad
            for name, parameter in self.named_parameters()
            if not name.startswith("object_head.") and parameter.grad is not None
        }
        of_head = gradients_by_name(self.object_head)
        return gradients | {f"object_head.{name}": value for name, value in of_head.items()}

    def _trunk(self, frames_BTCHW: Tensor) -> Tensor:
        num_frames = frames_BTCHW.shape[1]
        normalise, trunk = self.normalise_frames, self.trunk
        frames_M3HW = frames_BTCHW.flatten(0, 1).to(normalise.mean_311.dtype).contiguous()
        frames_M3HW = (frames_M3HW / 255 - normalise.mean_311) / normalise.std_311
        feats = _clips_if_temporal(trunk.conv1, frames_M3HW, num_frames)
        feats = functional.relu_(_norm(trunk.bn1, _conv(trunk.conv1, feats)))
        feats_MChw = functional.max_pool2d(_images(feats), 3, stride=2, padding=1)
        for stage in (trunk.conv2, trunk.conv3, trunk.conv4):
            feats_MChw = _images(_stage(stage, feats_MChw, num_frames))
        return feats_MChw


def _images(feats: Tensor) -> Tensor:
    """(M, C, h, w), from images or from clips (B, C, T, h, w)."""
    return feats if feats.ndim == 4 else feats.transpose(1, 2).flatten(0, 1)


def _clips_if_temporal(conv: FrameConv, feats_MChw: Tensor, num_frames: int) -> Tensor:
    if conv.temporal is None:
        return feats_MChw
    return feats_MChw.unflatten(0, (-1, num_frames)).transpose(1, 2).contiguous()


def _stage(stage: Stage, feats_MChw: Tensor, num_frames: int) -> Tensor:
    """(M, C', h', w') features of a 2D stage, or (B, C', T, h', w') of a 2.5D one."""
    blocks: list[Any] = list(stage.blocks)
    middle = blocks[0].conv2  # temporal in each block of a 2.5D stage
    feats = _clips_if_temporal(middle, feats_MChw, num_frames)
    for block in blocks:
        shortcut = feats
        if block.downsample is not None:
            projected = _conv(block.downsample.conv, feats, stride=block.downsample.stride)
            shortcut = _norm(block.downsample.bn, projected)
        hidden = functional.relu_(_norm(block.bn1, _conv(block.conv1, feats)))
        hidden = _norm(block.bn2, _conv(block.conv2, hidden))
        if hasattr(block, "conv3"):
            hidden = _norm(block.bn3, _conv(block.conv3, functional.relu_(hidden)))
        feats = functional.relu_(hidden.add_(shortcut))
    return feats


def _conv(conv: FrameConv | nn.Conv2d, feats: Tensor, *, stride: int | None = None) -> Tensor:
    """A convolution of images, or of clips by 1 x k x k and then, if it is temporal, 3 x 1 x 1;
    `stride` is the convolution's own where it is None."""
    spatial = conv if isinstance(conv, nn.Conv2d) else conv.spatial
    assert spatial is not None
    stride = stride or spatial.stride[0]
    padding = spatial.weight.shape[-1] // 2
    if feats.ndim == 4:
        return functional.conv2d(feats, spatial.weight, stride=stride, padding=padding)
    feats = functional.conv3d(
        feats,
        spatial.weight[:, :, None],
        stride=(1, stride, stride),
        padding=(0, padding, padding),
    )
    if isinstance(conv, nn.Conv2d) or conv.temporal is None:
        return feats
    return functional.conv3d(feats, conv.temporal.weight[..., None], padding=(1, 0, 0))


def _norm(norm: nn.BatchNorm2d, feats: Tensor) -> Tensor:
    """Batch normalisation of images or clips, in training."""
    return functional.batch_norm(
        feats, norm.running_mean, norm.running_var, norm.weight, norm.bias, True, norm.momentum or 0
    )
