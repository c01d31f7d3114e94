"""Which pairs of objects really act on the demo worlds.

X and Y of `demo`, the hand and what it touches of `demo-touch`, the object and the ball that takes
its old place of `demo-places`. Objects are told by the detector's classes, which are unique there
but for the balls, told by where they lie.

P cliques of objects, n objects of a clique, B clips, T frames, K object slots.
"""

import torch
from torch import Tensor

from orn.demo.world.dials import HAND, ROLE_X, ROLE_Y
from orn.demo.world.places import BALL
from orn.stage2_train.clips.batches import ClipBatch
from orn.stage2_train.explanation.importance import Importance

WORLDS = ("demo", "demo-touch", "demo-places")
"""Where it is known."""


def true_cliques(
    dataset: str,
    activities: tuple[str, ...],
    names: tuple[str, ...],
    batch: ClipBatch,
    importance: Importance,
) -> Tensor:
    """(P,) bool, whether a clique is the pair that acts.

    Args:
        dataset: name of a demo world.
        activities: names of its labels.
        names: the detector's classes.
        batch: the clips.
        importance: of the same clips.
    """
    labels_BTK = batch.detector_labels_BTK
    labels_nP = labels_BTK[importance.clip_P, importance.frames_nP, importance.slots_nP]
    if dataset == "demo":
        is_x_nP, is_y_nP = (
            torch.isin(labels_nP, labels_nP.new_tensor([names.index(each) for each in role]))
            for role in (ROLE_X, ROLE_Y)
        )
        return _joins(is_x_nP, is_y_nP)
    of_label = [names.index(each) if each in names else -1 for each in activities]
    label_P = labels_nP.new_tensor(of_label)[importance.class_B][importance.clip_P]
    if dataset == "demo-touch":
        return _joins(labels_nP == label_P, labels_nP == names.index(HAND))
    first_P, second_P = labels_nP
    return _nearest_ball((first_P == label_P) & (second_P == names.index(BALL)), batch, importance)


def _joins(some_nP: Tensor, others_nP: Tensor) -> Tensor:
    """(P,) bool, whether one object is among some and the other among the others."""
    return (some_nP[0] & others_nP[1]) | (others_nP[0] & some_nP[1])


def _nearest_ball(pair_P: Tensor, batch: ClipBatch, found: Importance) -> Tensor:
    """Of pairs of an earlier object and a later ball those that are nearest in each clip."""
    boxes_nP4 = batch.boxes_BTK4[found.clip_P, found.frames_nP, found.slots_nP]
    centre_nP2 = (boxes_nP4[..., :2] + boxes_nP4[..., 2:]) / 2
    apart_P = (centre_nP2[0] - centre_nP2[1]).norm(dim=1).masked_fill(~pair_P, torch.inf)
    nearest_B = apart_P.new_full((len(batch),), torch.inf)
    nearest_B = nearest_B.scatter_reduce(0, found.clip_P, apart_P, "amin")
    return pair_P & (apart_P == nearest_B[found.clip_P])
