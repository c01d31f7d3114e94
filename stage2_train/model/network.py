"""The whole network: shared trunk, activity head, object head (section 3, figure 2).

B clips, T frames of a clip, M = B * T frames folded, K object slots, D channels of conv5, C
channels before it, H W pixels, h w cells of feature maps or masks, S detector classes with
background, A activity classes.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from shared.errors import ConfigError, ShapeError
from stage2_train.model.config import NetworkConfig
from stage2_train.model.heads import RecurrentClassifier
from stage2_train.model.mask_pool import pool_objects
from stage2_train.model.object_encoder import ObjectEncoder
from stage2_train.model.relation import ObjectRelation, all_frame_pairs, draw_frame_pairs
from stage2_train.model.resnet_25d import Stage, Trunk

__all__ = ["Heads", "NetworkInputs", "NetworkOutput", "ObjectVideoNetwork"]

Heads = Literal["object", "both"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInputs:
    """What the network reads of a batch of clips."""

    frames_BTCHW: Tensor
    """(B, T, 3, H, W) uint8 RGB."""
    masks_BTKhw: Tensor
    """(B, T, K, mask_size, mask_size) float in [0, 1]: share of each cell that the mask covers."""
    coverage_BTKhw: Tensor
    """(B, T, K, h, w) float in [0, 1]: the same over the cells of the object head's feature map."""
    class_scores_BTKS: Tensor
    """(B, T, K, S) float: the detector's distribution over its classes and, last, background."""
    valid_BTK: Tensor
    """(B, T, K) bool: which slots hold an object; the other fields are read in no other slot."""

    def __post_init__(self) -> None:
        """Raises ShapeError naming the field where types or leading axes disagree."""
        frames, valid = self.frames_BTCHW, self.valid_BTK
        if frames.dtype != torch.uint8 or frames.ndim != 5 or frames.shape[2] != 3:
            raise _bad_input("frames_BTCHW", "(B, T, 3, H, W) uint8", frames)
        if valid.dtype != torch.bool or valid.ndim != 3 or valid.shape[:2] != frames.shape[:2]:
            raise _bad_input("valid_BTK", f"{tuple(frames.shape[:2])} + (K,) bool", valid)
        for name, ndim in (("masks_BTKhw", 5), ("coverage_BTKhw", 5), ("class_scores_BTKS", 4)):
            field: Tensor = getattr(self, name)
            if (
                field.ndim != ndim
                or field.shape[:3] != valid.shape
                or not field.is_floating_point()
            ):
                wanted = f"{ndim} axes that begin {tuple(valid.shape)}, floating point"
                raise _bad_input(name, wanted, field)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOutput:
    """Logits of a batch of clips."""

    activity_logits_BA: Tensor | None
    """(B, A) y1 = W h (eq. 10); None where only the object head was computed."""
    object_logits_BA: Tensor
    """(B, A) y2 = Z r (eq. 11)."""
    logits_BA: Tensor
    """(B, A) the prediction: the mean of the two, or y2 where only the object head was computed."""
    class_logits_BTKS: Tensor
    """(B, T, K, S) R u (eq. 13), the class told from appearance; no meaning in invalid slots."""


class ObjectVideoNetwork(nn.Module):
    """Activity logits from a clip's frames and the objects detected in them."""

    mean_311: Tensor
    std_311: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        """Random weights from torch's global generator; temporal kernels are the identity."""
        super().__init__()
        self.config = config
        width = config.feature_width
        self.trunk = Trunk(config)
        self.activity_conv5 = Stage(config, number=5, stride=2)
        self.object_conv5 = Stage(config, number=5, stride=config.conv5_object_stride)
        self.activity_head = RecurrentClassifier(
            width, config.activity_state, config.num_activities
        )
        self.encoder = ObjectEncoder(mask_size=config.mask_size, mask_features=config.mask_features)
        self.classify_object = nn.Linear(width, config.class_width)
        self.relation = ObjectRelation(config.object_width, config.relation_width)
        self.normalise = (
            nn.LayerNorm(config.relation_width) if config.normalise_relations else nn.Identity()
        )
        self.reasoning_head = RecurrentClassifier(
            config.relation_width, config.reasoning_state, config.num_activities
        )
        self.register_buffer(
            "mean_311", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False
        )
        self.register_buffer("std_311", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(
        self,
        batch: NetworkInputs,
        *,
        heads: Heads = "both",
        generator: torch.Generator | None = None,
    ) -> NetworkOutput:
        """Logits of every clip.

        Args:
            batch: the clips.
            heads: `object` computes the object head alone (the first phase of section 5), `both`
                everything.
            generator: source of the earlier frames t' drawn in training mode; torch's global one if
                None. Not read in evaluation mode, where all t' < t are averaged.

        Raises:
            ConfigError: if `heads` is none of its values.
            ShapeError: if the batch does not fit the network's configuration.
        """
        if heads not in ("object", "both"):
            raise ConfigError(f"heads: wanted object or both, found {heads!r}")
        num_frames = batch.frames_BTCHW.shape[1]
        trunk_MChw = self.trunk(self._normalised(batch.frames_BTCHW), num_frames)
        object_MDhw = self.object_conv5(trunk_MChw, num_frames)
        object_logits_BA, class_logits_BTKS = self._object_head(object_MDhw, batch, generator)
        if heads == "object":
            return NetworkOutput(
                activity_logits_BA=None,
                object_logits_BA=object_logits_BA,
                logits_BA=object_logits_BA,
                class_logits_BTKS=class_logits_BTKS,
            )
        activity_MDhw = self.activity_conv5(trunk_MChw, num_frames)
        context_BTD = activity_MDhw.mean(dim=(2, 3)).unflatten(0, (-1, num_frames))
        activity_logits_BA = self.activity_head(context_BTD)
        return NetworkOutput(
            activity_logits_BA=activity_logits_BA,
            object_logits_BA=object_logits_BA,
            logits_BA=(activity_logits_BA + object_logits_BA) / 2,
            class_logits_BTKS=class_logits_BTKS,
        )

    def _normalised(self, frames_BTCHW: Tensor) -> Tensor:
        """(M, 3, H, W) frames less ImageNet's mean, over its deviation, in channels_last."""
        frames_M3HW = frames_BTCHW.flatten(0, 1).to(
            self.mean_311.dtype, memory_format=torch.channels_last
        )
        return (frames_M3HW / 255 - self.mean_311) / self.std_311

    def _object_head(
        self, feats_MDhw: Tensor, batch: NetworkInputs, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """(B, A) logits y2 and (B, T, K, S) class logits from the feature map U."""
        self._check_objects(feats_MDhw, batch)
        num_clips, num_frames, _ = batch.valid_BTK.shape
        feats_BTDhw = feats_MDhw.unflatten(0, (num_clips, num_frames))
        valid_BTK11 = batch.valid_BTK[..., None, None]
        appearance_BTKD = pool_objects(feats_BTDhw, batch.coverage_BTKhw.where(valid_BTK11, 0.0))
        objects_BTKO = self.encoder(
            batch.masks_BTKhw.where(valid_BTK11, 0.0),
            appearance_BTKD,
            batch.class_scores_BTKS,
        )
        if self.training:
            pairs = draw_frame_pairs(num_clips, num_frames, generator=generator)
        else:
            pairs = all_frame_pairs(num_clips, num_frames)
        relations_BTG = self.normalise(self.relation(objects_BTKO, batch.valid_BTK, pairs))
        return self.reasoning_head(relations_BTG), self.classify_object(appearance_BTKD)

    def _check_objects(self, feats_MDhw: Tensor, batch: NetworkInputs) -> None:
        cells_hw, side = tuple(feats_MDhw.shape[2:]), self.config.mask_size
        if batch.coverage_BTKhw.shape[3:] != cells_hw:
            raise _bad_input("coverage_BTKhw", f"cells {cells_hw}", batch.coverage_BTKhw)
        if batch.masks_BTKhw.shape[3:] != (side, side):
            raise _bad_input("masks_BTKhw", f"cells {(side, side)}", batch.masks_BTKhw)
        if batch.class_scores_BTKS.shape[3] != self.config.class_width:
            wanted = f"{self.config.class_width} classes with background"
            raise _bad_input("class_scores_BTKS", wanted, batch.class_scores_BTKS)


def _bad_input(name: str, wanted: str, found: Tensor) -> ShapeError:
    return ShapeError(
        f"network input {name}: wanted {wanted}, found {tuple(found.shape)} {found.dtype}"
    )
