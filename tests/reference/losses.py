"""The training losses (eq. 12) as loops over clips, frames and objects."""

import math

from torch import Tensor


def _cross_entropy(logits: list[float], label: int) -> float:
    largest = max(logits)
    log_sum = largest + math.log(sum(math.exp(logit - largest) for logit in logits))
    return log_sum - logits[label]


def _binary_cross_entropy(logit: float, label: float) -> float:
    chance = 1 / (1 + math.exp(-logit))
    return -(label * math.log(chance) + (1 - label) * math.log(1 - chance))


def activity_loss(logits_BA: Tensor, labels: Tensor) -> float:
    """L1, the mean over clips, and over classes where each has a label of its own, which is not
    below 0."""
    losses = []
    for logits, label in zip(logits_BA.tolist(), labels.tolist(), strict=True):
        if isinstance(label, int):
            losses.append(_cross_entropy(logits, label))
        else:
            for logit, target in zip(logits, label, strict=True):
                if target >= 0:
                    losses.append(_binary_cross_entropy(logit, target))
    return sum(losses) / len(losses)


def weighted_loss(
    activity: Tensor,
    objects: Tensor,
    labels: Tensor,
    *,
    class_loss: float,
    weights: tuple[float, float, float],
) -> float:
    """Eq. (12) with weights of the mean prediction, of the class loss, and of each head's own
    logits."""
    mean = activity_loss((activity + objects) / 2, labels)
    own = activity_loss(activity, labels) + activity_loss(objects, labels)
    return weights[0] * mean + weights[1] * class_loss + weights[2] * own


def object_class_loss(
    class_logits_BTKS: Tensor, labels_BTK: Tensor, valid_BTK: Tensor, reduction: str
) -> float:
    """L2: the mean over all objects, or the sum over a clip's objects and the mean over clips."""
    losses_of_clip: list[list[float]] = []
    for b in range(valid_BTK.shape[0]):
        losses_of_clip.append([])
        for t in range(valid_BTK.shape[1]):
            for k in range(valid_BTK.shape[2]):
                if valid_BTK[b, t, k]:
                    logits = class_logits_BTKS[b, t, k].tolist()
                    losses_of_clip[b].append(_cross_entropy(logits, int(labels_BTK[b, t, k])))
    if reduction == "sum":
        return sum(map(sum, losses_of_clip)) / len(losses_of_clip)
    num_objects = sum(map(len, losses_of_clip))
    return sum(map(sum, losses_of_clip)) / num_objects if num_objects else 0.0
