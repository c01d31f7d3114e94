"""Relations of one, two or three objects at a time (eq. 3 and 4) as nested loops in float64.

Weights come as the state dict of the fast module; its first layer is kept in parts, one an object.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

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
    weight: Callable[[Tensor], Tensor] | None = None,
    geometry: Callable[[int, int, int, int], Tensor] | None = None,
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
        weight: of a clique of objects, from its h; None for the sum of h in place of a weighted
            mean.
        geometry: of object j of frame t' and object k of frame t, from (t', j, t, k).
    """

    def g(frames: Sequence[int]) -> Tensor:
        places = [*(objects_of_frame[frame] for frame in frames[:-1]), last_of_frame[frames[-1]]]
        values, weights_of = [], []
        for chosen in product(*[range(len(objects)) for objects in places]):
            clique = [objects[number] for objects, number in zip(places, chosen, strict=True)]
            of_pair = None
            if geometry is not None:
                of_pair = geometry(frames[0], chosen[0], frames[1], chosen[1])
            values.append(h(weights, clique, of_pair))
            weights_of.append(None if weight is None else weight(values[-1]))
        return pooled(values, weights_of, len(weights["first.0.bias"]))

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
        relations.append(sum(g([*choice, t]) for choice in choices) / len(choices))
    return relations


def pooled(
    values: Sequence[Tensor], weights: Sequence[float | Tensor | None], width: int
) -> Tensor:
    """The sum of values, or their mean with weights; zeros without any."""
    total_G, total = torch.zeros(width, dtype=torch.float64), 0.0
    for value, weight in zip(values, weights, strict=True):
        total_G = total_G + (value if weight is None else weight * value)
        total += 0 if weight is None else weight
    return total_G if (weights and weights[0] is None) or not values else total_G / total


def learned_weight(weights: Weights, value: Tensor) -> Tensor:
    """The weight of a clique of objects in the softmax of a linear score of h."""
    return torch.exp((weights["score.weight"][0] * value).sum())


def h(weights: Weights, clique: Objects, geometry: Tensor | None = None) -> Tensor:
    """An MLP of up to three layers on the concatenated vectors and the geometry, ReLU after each,
    and before it a LayerNorm where the weights have one."""
    parts = [weights[f"first.{place}.weight"] for place in range(len(clique))]
    inputs = list(clique)
    if geometry is not None:
        geometry = (geometry - weights["standardize.mean"]) / weights["standardize.deviation"]
        parts, inputs = [*parts, weights["geometry.weight"]], [*inputs, geometry]
    hidden_G = torch.cat(parts, dim=1) @ torch.cat(inputs) + weights["first.0.bias"]
    hidden_G = _relu(_normed(weights, 0, hidden_G))
    for place, name in enumerate(("second", "third"), start=1):
        if f"later.{name}.weight" in weights:
            hidden_G = weights[f"later.{name}.weight"] @ hidden_G + weights[f"later.{name}.bias"]
            hidden_G = _relu(_normed(weights, place, hidden_G))
    return hidden_G


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
