"""Reference implementation of the network as plain loops over materialized tensors.

It computes the paper's network with the algorithms of the authors' released code, in NCHW memory
and in the input's precision, with the weights and therefore the results of an `ObjectVideoNetwork`:

- 2D stages convolve B * T images; 2.5D stages store clips as (B, C, T, h, w) and use 3D
  convolutions with kernels of 1 x k x k and 3 x 1 x 1;
- features U are upsampled to the 28 x 28 cells of the masks and multiplied by all masks together, a
  tensor of B x K x D x T x 28 x 28, which is then summed per frame;
- a loop over t selects an earlier frame, and a loop over its objects j concatenates K copies of o_j
  with the K objects of t, so that each pair (j, k) has its own input of 2 x 2229 numbers; all K x K
  pairs pass through the MLP, and padding is masked afterwards.

It differs from the released network where results must agree with ours: U is repeated instead of
interpolated, which is cheaper; the first half of a pair is read from the earlier frame instead of
frame t, at the same cost; and layers follow the paper's text, without the released dropout, class
MLP, 2D conv5 of the object head and more (docs/numerics.md).

B clips, T frames, M = B * T frames folded, C channels, K object slots, D features, O elements of an
object vector, G elements of a relation, P pairs, h w cells of the feature map.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from orn.stage2_train.model.inputs import ClipBatch, NetworkOutput
from orn.stage2_train.model.network import ActivityHead, ObjectVideoNetwork
from orn.stage2_train.model.object_head import ObjectHead
from orn.stage2_train.model.relation import ObjectRelation
from orn.stage2_train.model.relation_frames import sampled_earlier_frames
from orn.stage2_train.model.resnet_25d import FrameConv, Stage
from orn.stage2_train.settings.model_config import Heads


class PlainNetwork(nn.Module):
    """The full model of the paper in training mode, equivalent to `ObjectVideoNetwork`."""

    def __init__(self, network: ObjectVideoNetwork) -> None:
        """Copy the weights of `network` under the same names."""
        super().__init__()
        self.network = copy.deepcopy(network)
        for parameter in self.parameters():
            parameter.data = parameter.data.contiguous()

    def forward(
        self,
        batch: ClipBatch,
        *,
        heads: Heads = "both",
        generator: torch.Generator | None = None,
    ) -> NetworkOutput:
        """Return the logits of both heads, with the network's interface."""
        assert heads == "both"
        activity, objects = self.network.activity_head, self.network.object_head
        assert objects is not None
        num_frames = batch.num_frames
        trunk_MChw = _trunk(self.network, batch.required("frames_BTCHW"))
        objects_BDThw = _stage(conv5_of(objects), trunk_MChw, num_frames)
        object_logits_BA, class_logits_BTKS = plain_object_head(
            objects, objects_BDThw, batch, generator=generator
        )
        assert isinstance(activity, ActivityHead)
        activity_BDThw = _stage(activity.conv5, trunk_MChw, num_frames)
        context_BTD = activity_BDThw.mean(dim=(3, 4)).transpose(1, 2)
        return NetworkOutput(
            activity_logits_BA=activity.classifier(context_BTD, batch.seconds_BT),
            object_logits_BA=object_logits_BA,
            class_logits_BTKS=class_logits_BTKS,
        )


def conv5_of(head: ObjectHead) -> Stage:
    """Return conv5 of an object head with appearance."""
    return next(module for module in head.modules() if isinstance(module, Stage))


def _trunk(network: ObjectVideoNetwork, frames_BTCHW: Tensor) -> Tensor:
    num_frames = frames_BTCHW.shape[1]
    normalize, trunk = network.normalize_frames, network.trunk
    assert normalize is not None and trunk is not None
    frames_M3HW = frames_BTCHW.flatten(0, 1).to(normalize.mean_311.dtype).contiguous()
    frames_M3HW = (frames_M3HW / 255 - normalize.mean_311) / normalize.std_311
    feats = _clips_if_temporal(trunk.conv1, frames_M3HW, num_frames)
    feats = functional.relu_(_norm(trunk.bn1, _conv(trunk.conv1, feats)))
    feats_MChw = functional.max_pool2d(_images(feats), 3, stride=2, padding=1)
    for stage in (trunk.conv2, trunk.conv3, trunk.conv4):
        feats_MChw = _images(_stage(stage, feats_MChw, num_frames))
    return feats_MChw


def _images(feats: Tensor) -> Tensor:
    """Convert images or clips (B, C, T, h, w) to (M, C, h, w)."""
    return feats if feats.ndim == 4 else feats.transpose(1, 2).flatten(0, 1)


def _clips_if_temporal(conv: FrameConv, feats_MChw: Tensor, num_frames: int) -> Tensor:
    if conv.temporal is None:
        return feats_MChw
    return feats_MChw.unflatten(0, (-1, num_frames)).transpose(1, 2).contiguous()


def _stage(stage: Stage, feats_MChw: Tensor, num_frames: int) -> Tensor:
    """Return (M, C', h', w') features of a 2D stage, or (B, C', T, h', w') of a 2.5D stage."""
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
    """Convolve images, or clips by 1 x k x k and, if temporal, 3 x 1 x 1; if `stride` is None, the
    convolution's own stride is used."""
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
    """Apply batch normalization to images or clips, in training mode."""
    return functional.batch_norm(
        feats, norm.running_mean, norm.running_var, norm.weight, norm.bias, True, norm.momentum or 0
    )


def pool_objects(feats_BDThw: Tensor, masks_BTKhw: Tensor) -> Tensor:
    """Return the (B, T, K, D) mean features of each mask; zeros for an empty one.

    Args:
        feats_BDThw: features U.
        masks_BTKhw: masks, whose size is a multiple of the feature map's.
    """
    num_clips, _, num_frames, _, _ = feats_BDThw.shape
    feats_MDhw = feats_BDThw.transpose(1, 2).flatten(0, 1)
    feats_MDhw = functional.interpolate(feats_MDhw, size=masks_BTKhw.shape[3:], mode="nearest")
    feats_BDThw = feats_MDhw.unflatten(0, (num_clips, num_frames)).transpose(1, 2)
    masks_BKThw = masks_BTKhw.transpose(1, 2)
    weighted_BKDThw = feats_BDThw[:, None] * masks_BKThw[:, :, None]
    area_BKT = masks_BKThw.sum(dim=(3, 4))
    area_BKT = torch.where(area_BKT > 0, area_BKT, 1.0)
    pooled = []
    for t in range(num_frames):
        total_BKD = weighted_BKDThw[:, :, :, t].sum(dim=(3, 4))
        pooled.append(total_BKD / area_BKT[:, :, t, None])
    return torch.stack(pooled, dim=1)


def plain_object_head(
    head: ObjectHead,
    feats_BDThw: Tensor,
    batch: ClipBatch,
    *,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the (B, A) logits y2 and (B, T, K, S) class logits of the object head after conv5, in
    training mode; ignores `batch.coverage_BTKhw`."""
    masks_BTKhw = batch.masks_BTKhw * batch.valid_BTK[..., None, None]
    appearance_BTKD = pool_objects(feats_BDThw, masks_BTKhw)
    objects: Any = head.objects
    shape_BTKb = objects.parts["shape"].mlp(masks_BTKhw.flatten(3))
    objects_BTKO = torch.cat([shape_BTKb, appearance_BTKD, batch.class_scores_BTKS], dim=3)
    num_clips, num_frames = objects_BTKO.shape[:2]
    drawn = sampled_earlier_frames(num_clips, num_frames, generator=generator)
    earlier_BT = drawn.frames_nQ[0].view(num_clips, num_frames - 1).to(feats_BDThw.device)
    relations_BTG = _relations(head.relation, objects_BTKO, batch.valid_BTK, earlier_BT)
    return head.reasoning(relations_BTG, batch.seconds_BT), objects.classify_object(appearance_BTKD)


def _relations(
    relation: ObjectRelation, objects_BTKO: Tensor, valid_BTK: Tensor, earlier_BT: Tensor
) -> Tensor:
    """Return the (B, T - 1, G) sums over pairs of an earlier frame and frame t."""
    num_clips, num_frames, num_slots, _ = objects_BTKO.shape
    clip_B = torch.arange(num_clips, device=objects_BTKO.device)
    first: Any = relation.first
    matrix = torch.cat([half.weight for half in first], dim=1)  # one over [o_j; o_k]
    relations = []
    for t in range(1, num_frames):
        earlier_BKO = objects_BTKO[clip_B, earlier_BT[:, t - 1]]
        later_BKO = objects_BTKO[:, t]
        inputs = []
        for j in range(num_slots):
            copies_BKO = earlier_BKO[:, j, None].repeat(1, num_slots, 1)
            inputs.append(torch.cat([copies_BKO, later_BKO], dim=2))
        values_BPG = functional.linear(torch.cat(inputs, dim=1), matrix, first[0].bias)
        for layer in relation.later.values():
            values_BPG = layer(functional.relu(values_BPG))
        valid_BK = valid_BTK[clip_B, earlier_BT[:, t - 1]]
        valid_BKK = valid_BK[:, :, None] & valid_BTK[:, t, None]
        values_BPG = functional.relu(values_BPG) * valid_BKK.flatten(1)[..., None]
        relations.append(values_BPG.sum(dim=1))
    return torch.stack(relations, dim=1)
