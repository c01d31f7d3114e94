"""Find the pair of objects that determines the label of a clip of the demo world.

The acting pair is X and Y in `demo`, the hand and a touched object in `demo-touch`, and an object
and the ball that takes its former place in `demo-places`. Objects are identified by the detector's
class, which is unique in a film, except for balls, which are identified by their place.

Axes: P cliques of objects, n objects of a clique, B clips, T frames, K object slots.
"""

import torch
from torch import Tensor

from orn.demo.world.parameters import HAND, ROLE_X, ROLE_Y
from orn.demo.world.places import BALL
from orn.stage2_train.clips.batches import ClipBatch
from orn.stage2_train.explanation.importance import Importance

WORLDS = ("demo", "demo-touch", "demo-places")
"""Data sets with known acting pairs."""


def true_cliques(
    dataset: str,
    activities: tuple[str, ...],
    names: tuple[str, ...],
    batch: ClipBatch,
    importance: Importance,
) -> Tensor:
    """Return the (P,) mask of cliques that are the acting pair.

    Args:
        dataset: name of a demo data set.
        activities: names of the labels.
        names: names of the detector's classes.
        batch: the clips.
        importance: importance of the cliques in these clips.
    """
    labels_BTK = batch.detector_labels_BTK
    labels_nP = labels_BTK[importance.clip_P, importance.frames_nP, importance.slots_nP]

    def labels_of(*classes: str) -> Tensor:
        """Return the labels of classes; -1 for a class that the detector does not have."""
        return labels_nP.new_tensor([names.index(e) if e in names else -1 for e in classes])

    if dataset == "demo":
        is_x_nP, is_y_nP = (torch.isin(labels_nP, labels_of(*role)) for role in (ROLE_X, ROLE_Y))
        return _joins(is_x_nP, is_y_nP)
    label_P = labels_of(*activities)[importance.class_B][importance.clip_P]
    if dataset == "demo-touch":
        return _joins(labels_nP == label_P, labels_nP == labels_of(HAND))
    first_P, second_P = labels_nP
    return _nearest_ball((first_P == label_P) & (second_P == labels_of(BALL)), batch, importance)


def _joins(some_nP: Tensor, others_nP: Tensor) -> Tensor:
    """Return the (P,) mask of pairs with one object in each of two masks."""
    return (some_nP[0] & others_nP[1]) | (others_nP[0] & some_nP[1])


def _nearest_ball(pair_P: Tensor, batch: ClipBatch, found: Importance) -> Tensor:
    """Return the (P,) mask of the nearest pair of an earlier object and a later ball per clip."""
    boxes_nP4 = batch.boxes_BTK4[found.clip_P, found.frames_nP, found.slots_nP]
    centre_nP2 = (boxes_nP4[..., :2] + boxes_nP4[..., 2:]) / 2
    apart_P = (centre_nP2[0] - centre_nP2[1]).norm(dim=1).masked_fill(~pair_P, torch.inf)
    nearest_B = apart_P.new_full((len(batch),), torch.inf)
    nearest_B = nearest_B.scatter_reduce(0, found.clip_P, apart_P, "amin")
    return pair_P & (apart_P == nearest_B[found.clip_P])
