"""Relations of one, two or three objects at a time (eq. 3 and 4) as nested loops in float64.

Weights come as the state dict of the fast module; its first layer is kept in parts, one an object.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]
Objects = Sequence[Tensor]


def relations_of_clip(
    weights: Weights,
    objects_of_frame: Sequence[Objects],
    *,
    clique_size: int = 2,
    same_frame: bool = False,
    first_frame: int = 0,
    drawn: Sequence[Sequence[int]] | None = None,
    empty_of_frame: Sequence[Objects] | None = None,
) -> list[Tensor]:
    """g of each step of one clip.

    Args:
        weights: of h.
        objects_of_frame: the objects that each frame really has.
        clique_size: how many objects h takes.
        same_frame: all of them are of frame t, t = `first_frame` .. T - 1; else t = 1 .. T - 1 and
            the others are of earlier frames.
        first_frame: see there.
        drawn: the earlier frames of each t in training; None for the mean over all choices of them.
        empty_of_frame: what the last object of a clique may be besides, in each frame.
    """

    def g(frames: Sequence[int]) -> Tensor:
        places = [*(objects_of_frame[frame] for frame in frames[:-1]), last_of_frame[frames[-1]]]
        return _g(weights, places)

    num_frames = len(objects_of_frame)
    last_of_frame = [
        [*objects, *(empty_of_frame[t] if empty_of_frame else ())]
        for t, objects in enumerate(objects_of_frame)
    ]
    if same_frame:
        return [g([t] * clique_size) for t in range(first_frame, num_frames)]
    relations = []
    for t in range(1, num_frames):
        if drawn is not None:
            choices = [list(drawn[t - 1])]
        elif clique_size == 2:
            choices = [[earlier] for earlier in range(t)]
        else:
            choices = [[first, second] for first in range(t) for second in range(t)]
        total_G = torch.zeros(len(weights["third.bias"]), dtype=torch.float64)
        for choice in choices:
            total_G = total_G + g([*choice, t])
        relations.append(total_G / len(choices))
    return relations


def _g(weights: Weights, objects_of_place: Sequence[Objects]) -> Tensor:
    """The sum of h over every choice of one object for each place of the clique."""
    total_G = torch.zeros(len(weights["third.bias"]), dtype=torch.float64)
    if len(objects_of_place) == 1:
        for k in objects_of_place[0]:
            total_G = total_G + h(weights, [k])
    elif len(objects_of_place) == 2:
        for j in objects_of_place[0]:
            for k in objects_of_place[1]:
                total_G = total_G + h(weights, [j, k])
    else:
        for i in objects_of_place[0]:
            for j in objects_of_place[1]:
                for k in objects_of_place[2]:
                    total_G = total_G + h(weights, [i, j, k])
    return total_G


def h(weights: Weights, clique: Objects) -> Tensor:
    """An MLP of three layers on the concatenated vectors, ReLU after each, and before it a
    LayerNorm where the weights have one."""
    parts = [weights[f"first.{place}.weight"] for place in range(len(clique))]
    hidden_G = torch.cat(parts, dim=1) @ torch.cat(list(clique)) + weights["first.0.bias"]
    hidden_G = _relu(_normed(weights, 0, hidden_G))
    hidden_G = weights["second.weight"] @ hidden_G + weights["second.bias"]
    hidden_G = _relu(_normed(weights, 1, hidden_G))
    hidden_G = weights["third.weight"] @ hidden_G + weights["third.bias"]
    return _relu(_normed(weights, 2, hidden_G))


def _normed(weights: Weights, place: int, x_G: Tensor) -> Tensor:
    if f"norms.{place}.weight" not in weights:
        return x_G
    mean = sum(x_G.unbind()) / len(x_G)
    variance = sum((x - mean) ** 2 for x in x_G.unbind()) / len(x_G)
    scaled = [(x - mean) / (variance + 1e-5) ** 0.5 for x in x_G.unbind()]
    return torch.stack(scaled) * weights[f"norms.{place}.weight"] + weights[f"norms.{place}.bias"]


def cell_objects(feats_Dhw: Tensor) -> list[Tensor]:
    """Each cell of a feature map as an object: [u, x, y], its center from -1 to 1 over the map."""
    _, height, width = feats_Dhw.shape
    objects = []
    for row in range(height):
        for column in range(width):
            x = -1 + 2 * (column + 0.5) / width
            y = -1 + 2 * (row + 0.5) / height
            place_2 = torch.tensor([x, y], dtype=torch.float64)
            objects.append(torch.cat([feats_Dhw[:, row, column], place_2]))
    return objects


def _relu(x: Tensor) -> Tensor:
    return torch.maximum(x, torch.zeros_like(x))
