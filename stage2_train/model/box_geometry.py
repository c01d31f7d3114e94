"""Positions and sizes of boxes that objects and relations can read, which are not in the paper.

Relative positions as an input of relations are known from relation networks for detection (Hu et
al. 2018) and from spatial attention between objects (for example Herzig et al. 2022).

B clips, T frames per clip, K object slots, N boxes, P pairs of objects.
"""

import torch
from torch import Tensor

from orn.stage2_train.model.inputs import ClipBatch

BOX_NUMBERS = 8
"""Length of the features of a box."""
PAIR_NUMBERS = 6
"""Length of the geometry of a pair."""
_LEAST_SIDE = 0.01
"""Least width and height of a box, as a fraction of the crop."""


def relative_boxes(batch: ClipBatch) -> Tensor:
    """Return (B, T, K, 4) boxes as fractions of the crop."""
    height, width = batch.crop
    return batch.boxes_BTK4 / batch.boxes_BTK4.new_tensor([width, height, width, height])


def geometry_of_pairs(batch: ClipBatch, slots_2P: Tensor) -> Tensor:
    """Return the (P, 6) geometry of pairs, given as indices into the B * T * K slots."""
    first_P4, second_P4 = relative_boxes(batch).flatten(0, 2)[slots_2P]
    earlier_P, later_P = batch.seconds_BT.flatten()[slots_2P // batch.valid_BTK.shape[2]]
    return pair_geometry(first_P4, second_P4, later_P - earlier_P)


def box_features(boxes_N4: Tensor, scores_N: Tensor) -> Tensor:
    """Return (N, 8): center x and y, width, height, square root of the area, logarithm of width /
    height, lower edge, and score.

    Args:
        boxes_N4: x1 y1 x2 y2 as fractions of the crop.
        scores_N: score of the detected class, 0 for the background.
    """
    x_N, y_N, width_N, height_N = _center_and_size(boxes_N4)
    area_N, aspect_N = (width_N * height_N).sqrt(), (width_N / height_N).log()
    numbers = (x_N, y_N, width_N, height_N, area_N, aspect_N, boxes_N4[:, 3], scores_N)
    return torch.stack(numbers, dim=1)


def pair_geometry(first_P4: Tensor, second_P4: Tensor, seconds_P: Tensor) -> Tensor:
    """Return (P, 6): the offset of the second box from the first in x and y, the logarithms of the
    ratios of widths and heights, the intersection over union, and the seconds between them.

    Args:
        first_P4: boxes in the reference frame t', x1 y1 x2 y2 as fractions of the crop.
        second_P4: boxes in frame t.
        seconds_P: time of frame t minus time of frame t'.
    """
    x_P, y_P, width_P, height_P = _center_and_size(first_P4)
    later_x_P, later_y_P, later_width_P, later_height_P = _center_and_size(second_P4)
    inner_P2 = torch.minimum(first_P4[:, 2:], second_P4[:, 2:])
    inner_P2 = (inner_P2 - torch.maximum(first_P4[:, :2], second_P4[:, :2])).clamp(min=0)
    shared_P = inner_P2.prod(dim=1)
    union_P = width_P * height_P + later_width_P * later_height_P - shared_P
    numbers = (
        *(later_x_P - x_P, later_y_P - y_P),
        *((later_width_P / width_P).log(), (later_height_P / height_P).log()),
        *(shared_P / union_P, seconds_P),
    )
    return torch.stack(numbers, dim=1)


def _center_and_size(boxes_N4: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return (N,) center x, center y, width and height."""
    center_N2 = (boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2
    size_N2 = (boxes_N4[:, 2:] - boxes_N4[:, :2]).clamp(min=_LEAST_SIDE)
    return center_N2[:, 0], center_N2[:, 1], size_N2[:, 0], size_N2[:, 1]
