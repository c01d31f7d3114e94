"""The object head as plain loops over materialised tensors: what ours is measured against.

It follows the structure of the authors' released code, step by step, in NCHW memory and in the
input's precision, with the weights of an `ObjectHead` and so with its results:

- features U are brought to the 28 x 28 cells of the masks and multiplied by every mask at once, a
  tensor of B x K x D x T x 28 x 28 numbers, which is then summed frame by frame;
- a loop over t takes an earlier frame for it, and a loop over the objects j of that frame puts K
  copies of o_j beside the K objects of t, so that each pair (j, k) has an input of its own of 2 x
  2229 numbers; all K x K pairs go through the MLP, and padding is multiplied away afterwards.

Two things differ from the released code, so that results can be compared. U is repeated to the
cells of the masks and not interpolated, which costs less. The first half of a pair is read from the
earlier frame, where theirs reads both halves from frame t; that costs the same.

B clips, T frames, K object slots, D features, O numbers of an object vector, G numbers of a
relation, P pairs, h w cells of the feature map.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from stage2_train.model.frame_cliques import drawn_earlier_frames
from stage2_train.model.inputs import NetworkInputs
from stage2_train.model.object_head import ObjectHead
from stage2_train.model.relation import ObjectRelation

__all__ = ["PlainObjectHead", "gradients_by_name", "pool_objects"]


def pool_objects(feats_BDThw: Tensor, masks_BTKhw: Tensor) -> Tensor:
    """(B, T, K, D) means of the features under each mask; zeros under an empty one.

    Args:
        feats_BDThw: features U.
        masks_BTKhw: masks over cells that are the feature map's or whole parts of them.
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


class PlainObjectHead(nn.Module):
    """What an `ObjectHead` of the paper's full model computes in training, without its conv5."""

    def __init__(self, head: ObjectHead) -> None:
        """Copies the weights."""
        super().__init__()
        self.encoder = copy.deepcopy(head.encoder.mask_mlp)
        self.classify_object = copy.deepcopy(head.classify_object)
        self.relation = _pair_mlp(head.relation)
        self.reasoning = copy.deepcopy(head.reasoning)

    def forward(
        self, feats_BDThw: Tensor, batch: NetworkInputs, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """(B, A) logits y2 and (B, T, K, S) class logits; `batch.coverage_BTKhw` is not read."""
        masks_BTKhw = batch.masks_BTKhw * batch.valid_BTK[..., None, None]
        appearance_BTKD = pool_objects(feats_BDThw, masks_BTKhw)
        shape_BTKb = self.encoder(masks_BTKhw.flatten(3))
        objects_BTKO = torch.cat([shape_BTKb, appearance_BTKD, batch.class_scores_BTKS], dim=3)
        num_clips, num_frames = objects_BTKO.shape[:2]
        drawn = drawn_earlier_frames(num_clips, num_frames, generator=generator)
        earlier_BT = drawn.frames_nQ[0].view(num_clips, num_frames - 1).to(feats_BDThw.device)
        relations_BTG = self._relations(objects_BTKO, batch.valid_BTK, earlier_BT)
        return self.reasoning(relations_BTG), self.classify_object(appearance_BTKD)

    def _relations(self, objects_BTKO: Tensor, valid_BTK: Tensor, earlier_BT: Tensor) -> Tensor:
        """(B, T - 1, G) sums over the pairs of an earlier frame and frame t."""
        num_clips, num_frames, num_slots, _ = objects_BTKO.shape
        clip_B = torch.arange(num_clips, device=objects_BTKO.device)
        relations = []
        for t in range(1, num_frames):
            earlier_BKO = objects_BTKO[clip_B, earlier_BT[:, t - 1]]
            later_BKO = objects_BTKO[:, t]
            inputs = []
            for j in range(num_slots):
                copies_BKO = earlier_BKO[:, j, None].repeat(1, num_slots, 1)
                inputs.append(torch.cat([copies_BKO, later_BKO], dim=2))
            values_BPG = self.relation(torch.cat(inputs, dim=1))
            valid_BK = valid_BTK[clip_B, earlier_BT[:, t - 1]]
            valid_BKK = valid_BK[:, :, None] & valid_BTK[:, t, None]
            relations.append((values_BPG * valid_BKK.flatten(1)[..., None]).sum(dim=1))
        return torch.stack(relations, dim=1)


def gradients_by_name(head: PlainObjectHead) -> dict[str, Tensor]:
    """The gradients of a plain head by the names that an `ObjectHead` has for its weights."""
    gradients: dict[str, Tensor] = {}
    for name, parameter in head.named_parameters():
        gradient = parameter.grad
        assert gradient is not None, name
        if name == "relation.0.weight":
            for number, half in enumerate(gradient.chunk(2, dim=1)):
                gradients[f"relation.first.{number}.weight"] = half
        else:
            gradients[_name_of_ours(name)] = gradient
    return gradients


def _name_of_ours(name: str) -> str:
    for plain, ours in (
        ("encoder.", "encoder.mask_mlp."),
        ("relation.0.", "relation.first.0."),
        ("relation.2.", "relation.second."),
        ("relation.4.", "relation.third."),
    ):
        if name.startswith(plain):
            return ours + name.removeprefix(plain)
    return name


@torch.no_grad()
def _pair_mlp(relation: ObjectRelation) -> nn.Sequential:
    """The MLP of [o_j; o_k] whose first layer is one matrix over both halves."""
    earlier, later = relation.first
    assert isinstance(earlier, nn.Linear)
    assert isinstance(later, nn.Linear)
    second, third = copy.deepcopy(relation.second), copy.deepcopy(relation.third)
    first = nn.Linear(2 * earlier.in_features, earlier.out_features).to(earlier.weight)
    first.weight.copy_(torch.cat([earlier.weight, later.weight], dim=1))
    first.bias.copy_(earlier.bias)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third, nn.ReLU())
