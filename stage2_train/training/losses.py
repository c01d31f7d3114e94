"""Training losses (section 5, eq. 12).

B clips, T frames per clip, K object slots, S detector classes including background, A activity
classes, N valid objects.
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
    """The total loss and its unweighted terms, scalar tensors."""

    total: Tensor
    """Weighted sum of the terms."""
    activity: Tensor
    """L1 in eq. (12)."""
    objects: Tensor
    """L2 in eq. (12)."""
    each_head: Tensor | None
    """Sum of L1 over each head's own logits, zero for a single head; None without a weight."""

    def by_name(self) -> dict[str, Tensor]:
        """Return the losses by their names in the log."""
        losses = {
            "loss": self.total,
            "activity_loss": self.activity,
            "object_class_loss": self.objects,
        }
        if self.each_head is not None:
            losses["each_head_loss"] = self.each_head
        return losses


def activity_loss(logits_BA: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Return the scalar L1 in eq. (12), averaged over clips.

    Args:
        logits_BA: logits of the prediction.
        labels: (B,) int64 classes for cross-entropy, or (B, A) floats in [0, 1] for binary
            cross-entropy, averaged over classes; entries below 0 are ignored.
        smoothing: label smoothing of cross-entropy (Szegedy et al. 2016).

    Raises:
        ShapeError: if the labels have an unexpected shape or dtype.
    """
    if labels.dtype == torch.int64 and labels.shape == logits_BA.shape[:1]:
        return functional.cross_entropy(logits_BA, labels, label_smoothing=smoothing)
    if labels.is_floating_point() and labels.shape == logits_BA.shape:
        known_BA = labels >= 0
        loss_BA = functional.binary_cross_entropy_with_logits(
            logits_BA, labels.clamp(min=0), weight=known_BA.to(logits_BA.dtype), reduction="none"
        )
        return loss_BA.sum() / known_BA.sum().clamp(min=1)
    num_clips, num_activities = logits_BA.shape
    raise ShapeError(
        f"labels: expected ({num_clips},) int64 or ({num_clips}, {num_activities}) floating "
        f"point, got {tuple(labels.shape)} {labels.dtype}"
    )


def object_class_loss(
    class_logits_BTKS: Tensor,
    labels_BTK: Tensor,
    *,
    valid_BTK: Tensor,
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """Return the scalar L2 in eq. (12): the cross-entropy of R u (eq. 13) and detected classes.

    Args:
        class_logits_BTKS: R u.
        labels_BTK: int64 detected classes; S - 1 for background objects. Not read in empty slots.
        valid_BTK: bool, whether a slot holds an object.
        reduction: `mean` over the valid objects in the batch, 0 without any; or `sum` over the
            objects in a clip and mean over clips, as in eq. (12). The authors' code also uses a
            mean, but counts padding slots as background.
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
    smoothing: float = 0.0,
) -> Losses:
    """Return the loss in eq. (12): a weighted sum of the activity loss and the object class loss.

    Args:
        logits_BA: logits of the prediction.
        labels: activities; see `activity_loss`.
        class_logits_BTKS: class logits of objects; None for no object class loss.
        detector_labels_BTK: detected classes; see `object_class_loss`.
        valid_BTK: bool, whether a slot holds an object.
        object_weight: weight of the object class loss.
        reduction: reduction of the object class loss.
        activity_weight: weight of the activity loss.
        head_logits_BA: logits of each head, if there are two.
        each_head_weight: weight of the sum of both heads' activity losses. For a single head, whose
            own loss is the activity loss, the larger of both weights is that of this loss.
        smoothing: label smoothing of the activity losses.
    """
    activity = activity_loss(logits_BA, labels, smoothing=smoothing)
    objects = each_head = activity.new_zeros(())
    if not head_logits_BA:
        activity_weight = max(activity_weight, each_head_weight)
    total = activity if activity_weight == 1 else activity_weight * activity
    if class_logits_BTKS is not None:
        objects = object_class_loss(
            class_logits_BTKS, detector_labels_BTK, valid_BTK=valid_BTK, reduction=reduction
        )
        total = total + object_weight * objects
    if head_logits_BA and each_head_weight:
        of_heads = [activity_loss(own, labels, smoothing=smoothing) for own in head_logits_BA]
        each_head = torch.stack(of_heads).sum()
        total = total + each_head_weight * each_head
    return Losses(
        total=total,
        activity=activity,
        objects=objects,
        each_head=each_head if each_head_weight else None,
    )
