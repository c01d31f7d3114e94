"""What a class loses without one pair of objects: the pair is left out of nested loops over all the
others, in float64."""

from collections.abc import Callable
from functools import partial
from itertools import product

import torch
from torch import Tensor

from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.model.network import ObjectVideoNetwork
from tests.reference.boxes import box_of, pair_numbers
from tests.reference.object_cliques import h, learned_weight, pooled
from tests.reference.object_relation import (
    classify,
    scaled_statistics,
    sequence_state,
    statistics_state,
    steps_state,
)

Pair = tuple[tuple[int, int], ...]
"""Frame and slot of each object."""


@torch.no_grad()
def pair_logit_drops(
    network: ObjectVideoNetwork, batch: ClipBatch, class_B: Tensor
) -> dict[tuple[int, Pair], tuple[float, float]]:
    """Sum of h, and drop of the class's logit, by clip and pair."""
    head = network.object_head
    trunk = network.trunk_features(batch) if network.config.reads_frames else None
    objects_BTKO, valid_BTK, _ = head.objects(trunk, batch)
    weights, drops = dict(head.relation.state_dict()), {}
    for clip in range(len(valid_BTK)):
        steps = _pairs_of_steps(network, valid_BTK[clip])
        geometry = _geometry(batch, clip) if network.config.pair_geometry else lambda pair: None
        values = {
            pair: h(
                weights, [objects_BTKO[clip, frame, slot] for frame, slot in pair], geometry(pair)
            )
            for pairs, _ in steps
            for pair in pairs
        }
        weight = partial(_weight, network, values)
        logit = partial(_logit, network, batch.seconds_BT[clip].tolist(), steps, values)
        whole = logit(None, class_B[clip], weight)
        for removed, value in values.items():
            without = logit(removed, class_B[clip], weight)
            drops[clip, removed] = float(value.sum()), float(whole - without)
    return drops


def _pairs_of_steps(network: ObjectVideoNetwork, valid_TK: Tensor) -> list[tuple[list[Pair], int]]:
    """The pairs of each step, and over how many choices of the earlier frame g is the mean."""
    num_frames, is_same = len(valid_TK), network.config.relation_frames == "same"
    slots = [valid_TK[t].nonzero().flatten().tolist() for t in range(num_frames)]
    steps = []
    for t in range(0 if is_same else 1, num_frames):
        earlier = [t] if is_same else range(t)
        pairs = [
            ((before, first), (t, second))
            for before in earlier
            for first, second in product(slots[before], slots[t])
        ]
        steps.append((pairs, len(earlier)))
    return steps


def _logit(network, seconds, steps, values, removed, activity, weight) -> Tensor:
    head = network.object_head
    relations = []
    for pairs, num_choices in steps:
        of_frames: dict[int, list[Pair]] = {}
        for pair in pairs:
            if pair != removed:
                of_frames.setdefault(pair[0][0], []).append(pair)
        width = network.config.relation_width
        total_G = torch.zeros(width, dtype=torch.float64)
        for left in of_frames.values():  # those of one earlier frame
            weights_of = [weight(pair) for pair in left]
            total_G = total_G + pooled([values[pair] for pair in left], weights_of, width)
        relations.append(head.normalize(total_G / num_choices))
    weights, reasoning = head.reasoning.state_dict(), network.config.reasoning
    if reasoning == "mean_deviation_trend":
        seconds = seconds[len(seconds) - len(relations) :]
        width = network.config.relation_width
        state = statistics_state(relations, seconds, width)
        state = scaled_statistics(state, width)
    else:
        state = (sequence_state if reasoning == "rnn" else steps_state)(weights, relations)
    return classify(weights, state)[activity]


def _weight(network: ObjectVideoNetwork, values, pair: Pair):
    if network.config.relation_pooling == "sum":
        return None
    return learned_weight(network.object_head.relation.state_dict(), values[pair])


def _geometry(batch: ClipBatch, clip: int) -> Callable[[Pair], Tensor]:
    def of_pair(pair: Pair) -> Tensor:
        one, other = (box_of(batch, clip, *place) for place in pair)
        seconds_T = batch.seconds_BT[clip].tolist()
        return pair_numbers(one, other, seconds_T[pair[1][0]] - seconds_T[pair[0][0]])

    return of_pair
