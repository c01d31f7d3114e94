"""Training losses (section 5, eq. 12).

B clips, T frames of a clip, K object slots, S detector classes with background, A activity classes,
N valid objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from orn.shared.errors import ShapeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """The loss to minimise and its terms, each a scalar tensor."""

    total: Tensor
    """The weighted sum of the others."""
    activity: Tensor
    """L1 of eq. (12)."""
    objects: Tensor
    """L2 of eq. (12), before its weight."""
    each_head: Tensor
    """L1 of the logits of each head by themselves, summed, before its weight; zero where there is
    one head."""


def activity_loss(logits_BA: Tensor, labels: Tensor) -> Tensor:
    """Scalar L1 of eq. (12), the mean over clips.

    Args:
        logits_BA: the prediction.
        labels: (B,) int64 classes gives cross-entropy; (B, A) floats in [0, 1] gives binary
            cross-entropy, the mean over classes as well. Pairs of clip and class below 0 are not
            known and left out of the mean.

    Raises:
        ShapeError: if the labels are neither.
    """
    if labels.dtype == torch.int64 and labels.shape == logits_BA.shape[:1]:
        return functional.cross_entropy(logits_BA, labels)
    if labels.is_floating_point() and labels.shape == logits_BA.shape:
        known_BA = labels >= 0
        loss_BA = functional.binary_cross_entropy_with_logits(
            logits_BA, labels.clamp(min=0), weight=known_BA.to(logits_BA.dtype), reduction="none"
        )
        return loss_BA.sum() / known_BA.sum().clamp(min=1)
    num_clips, num_activities = logits_BA.shape
    raise ShapeError(
        f"labels: wanted ({num_clips},) int64 or ({num_clips}, {num_activities}) floating point, "
        f"found {tuple(labels.shape)} {labels.dtype}"
    )


def object_class_loss(
    class_logits_BTKS: Tensor,
    labels_BTK: Tensor,
    *,
    valid_BTK: Tensor,
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """Scalar L2 of eq. (12): cross-entropy of R u (eq. 13) against the detector's class.

    Args:
        class_logits_BTKS: R u.
        labels_BTK: int64 class that the detector gave; that of a background object is S - 1. Not
            read where invalid.
        valid_BTK: bool, which slots hold an object.
        reduction: `mean` over the valid objects of the batch, zero without any (the authors' code
            takes a mean, too, but one in which padding slots count as background); `sum` over the
            objects of a clip and the mean over clips, as eq. (12) has it.
    """
    loss = functional.cross_entropy(
        class_logits_BTKS[valid_BTK], labels_BTK[valid_BTK], reduction="sum"
    )
    if reduction == "sum":
        return loss / len(valid_BTK)
    return loss / valid_BTK.sum().clamp(min=1)


def total_loss(
    *,
    logits_BA: Tensor,
    labels: Tensor,
    class_logits_BTKS: Tensor | None,
    detector_labels_BTK: Tensor,
    valid_BTK: Tensor,
    object_weight: float = 1.0,
    reduction: Literal["mean", "sum"] = "mean",
    activity_weight: float = 1.0,
    head_logits_BA: Sequence[Tensor] = (),
    each_head_weight: float = 0.0,
) -> Losses:
    """Eq. (12): the activity loss plus `object_weight` times the object class loss; without class
    logits the latter is zero.

    Args:
        logits_BA: the prediction.
        labels: of `activity_loss`.
        class_logits_BTKS: of `object_class_loss`, as the next two.
        detector_labels_BTK: classes that the detector gave.
        valid_BTK: which slots hold an object.
        object_weight: of the object class loss.
        reduction: of the object class loss.
        activity_weight: of the activity loss of the prediction.
        head_logits_BA: of each head, where there are several.
        each_head_weight: of the sum of their activity losses.
    """
    activity = activity_loss(logits_BA, labels)
    objects = each_head = activity.new_zeros(())
    total = activity if activity_weight == 1 else activity_weight * activity
    if class_logits_BTKS is not None:
        objects = object_class_loss(
            class_logits_BTKS, detector_labels_BTK, valid_BTK=valid_BTK, reduction=reduction
        )
        total = total + object_weight * objects
    if head_logits_BA and each_head_weight:
        each_head = torch.stack([activity_loss(each, labels) for each in head_logits_BA]).sum()
        total = total + each_head_weight * each_head
    return Losses(total=total, activity=activity, objects=objects, each_head=each_head)
