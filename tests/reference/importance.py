"""What a class loses without one clique of objects, or one object, by computing everything anew.

An object is taken out of the input of the network. A clique is left out of nested loops over all
the others, in float64.
"""

from dataclasses import replace
from itertools import product

import torch
from torch import Tensor

from orn.stage2_train.model.inputs import NetworkInputs
from orn.stage2_train.model.network import ObjectVideoNetwork
from tests.reference.object_cliques import h
from tests.reference.object_relation import classify, sequence_state, steps_state

Clique = tuple[tuple[int, int], ...]
"""Frame and slot of each object."""


@torch.no_grad()
def object_logit_drops(
    network: ObjectVideoNetwork, batch: NetworkInputs, class_B: Tensor
) -> Tensor:
    """(B, T, K) by removing each valid object from the batch."""
    logits_BA = network(batch).object_logits_BA
    assert logits_BA is not None
    logit_drops = torch.zeros(batch.valid_BTK.shape, dtype=torch.float64)
    for clip, frame, slot in batch.valid_BTK.nonzero().tolist():
        valid_BTK = batch.valid_BTK.clone()
        valid_BTK[clip, frame, slot] = False
        without_BA = network(replace(batch, valid_BTK=valid_BTK)).object_logits_BA
        assert without_BA is not None
        chosen = class_B[clip]
        logit_drops[clip, frame, slot] = logits_BA[clip, chosen] - without_BA[clip, chosen]
    return logit_drops


@torch.no_grad()
def clique_logit_drops(
    network: ObjectVideoNetwork, batch: NetworkInputs, class_B: Tensor
) -> dict[tuple[int, Clique], tuple[float, float]]:
    """Sum of h, and drop of the class's logit, by clip and clique."""
    head = network.object_head
    trunk = network.trunk_features(batch) if network.config.reads_frames else None
    objects_BTKO, valid_BTK, _ = head.objects(trunk, batch)
    found = {}
    for clip in range(len(valid_BTK)):
        steps = _cliques_of_steps(network, valid_BTK[clip])
        weights = {name: value for name, value in head.relation.state_dict().items()}
        values = {
            clique: h(weights, [objects_BTKO[clip, frame, slot] for frame, slot in clique])
            for cliques, _ in steps
            for clique in cliques
        }
        whole = _logit(network, steps, values, None, class_B[clip])
        for cliques, _ in steps:
            for clique in cliques:
                without = _logit(network, steps, values, clique, class_B[clip])
                found[clip, clique] = float(values[clique].sum()), float(whole - without)
    return found


def _cliques_of_steps(
    network: ObjectVideoNetwork, valid_TK: Tensor
) -> list[tuple[list[Clique], int]]:
    """The cliques of each step, and over how many choices of frames g is the mean."""
    config, num_frames = network.config, len(valid_TK)
    slots = [valid_TK[t].nonzero().flatten().tolist() for t in range(num_frames)]
    steps = []
    for t in range(0 if config.relation_frames == "same" else 1, num_frames):
        earlier = [[t]] if config.relation_frames == "same" else [range(t)]
        choices = list(product(*(earlier * (config.clique_size - 1))[: config.clique_size - 1]))
        cliques = [
            tuple(zip((*choice, t), chosen, strict=True))
            for choice in choices
            for chosen in product(*(slots[frame] for frame in (*choice, t)))
        ]
        steps.append((cliques, len(choices)))
    return steps


def _logit(network, steps, values, removed, activity) -> Tensor:
    head = network.object_head
    relations = []
    for cliques, num_choices in steps:
        total_G = torch.zeros(network.config.relation_width, dtype=torch.float64)
        for clique in cliques:
            if clique != removed:
                total_G = total_G + values[clique]
        relations.append(head.normalise(total_G / num_choices))
    weights = head.reasoning.state_dict()
    state_of = sequence_state if network.config.reasoning == "rnn" else steps_state
    return classify(weights, state_of(weights, relations))[activity]
