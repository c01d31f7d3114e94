"""Training losses (section 5, eq. 12).

B clips, T frames per clip, K object slots, S detector classes including background, A activity
classes, N valid objects.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from orn.stage2_train.model.inputs import ClipBatch, NetworkOutput
from orn.stage2_train.settings.recipe import LossRecipe


def activity_loss(logits_BA: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Return the scalar L1 in eq. (12), averaged over clips.

    Args:
        logits_BA: logits of the prediction.
        labels: (B,) int64 classes for cross-entropy, or (B, A) floats in [0, 1] for binary
            cross-entropy, averaged over classes; entries below 0 are ignored.
        smoothing: label smoothing of cross-entropy (Szegedy et al. 2016).
    """
    if labels.ndim == 1:
        return functional.cross_entropy(logits_BA, labels, label_smoothing=smoothing)
    known_BA = labels >= 0
    loss_BA = functional.binary_cross_entropy_with_logits(
        logits_BA, labels.clamp(min=0), weight=known_BA.to(logits_BA.dtype), reduction="none"
    )
    return loss_BA.sum() / known_BA.sum().clamp(min=1)


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


def total_loss(output: NetworkOutput, batch: ClipBatch, recipe: LossRecipe) -> dict[str, Tensor]:
    """Return `loss`, the weighted sum in eq. (12), and its unweighted terms, by their names in the
    log.

    For a single head, whose own loss is the activity loss, the larger of both weights is that of
    this loss. The object class loss is zero without class logits.
    """
    heads, smoothing = output.head_logits_BA, recipe.label_smoothing
    activity = activity_loss(output.logits_BA, batch.labels, smoothing=smoothing)
    objects = each_head = activity.new_zeros(())
    weight = recipe.activity_loss_weight
    if not heads:
        weight = max(weight, recipe.each_head_loss_weight)
    total = activity if weight == 1 else weight * activity
    if output.class_logits_BTKS is not None:
        objects = object_class_loss(
            output.class_logits_BTKS,
            batch.detector_labels_BTK,
            valid_BTK=batch.valid_BTK,
            reduction=recipe.reduction,
        )
        total = total + recipe.object_loss_weight * objects
    if heads and recipe.each_head_loss_weight:
        of_heads = [activity_loss(own, batch.labels, smoothing=smoothing) for own in heads]
        each_head = torch.stack(of_heads).sum()
        total = total + recipe.each_head_loss_weight * each_head
    losses = {"loss": total, "activity_loss": activity, "object_class_loss": objects}
    return losses | ({"each_head_loss": each_head} if recipe.each_head_loss_weight else {})
