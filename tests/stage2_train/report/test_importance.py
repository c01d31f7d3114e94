"""The logit drop of a pair equals what the logit loses when the pair is really taken away."""

from dataclasses import replace

import pytest
import torch

from orn.shared.errors import ConfigError
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.relation import CliqueValues
from orn.stage2_train.report.importance import Importance, explain
from tests.reference.importance import pair_logit_drops
from tests.stage2_train.model.conftest import in_float32

FLOAT32 = 1e-4  # some 20 layers; bfloat16 would be off by a hundredth

VARIANTS = {
    "orn": {},
    "object-head": {"heads": "object"},
    "same frame": {"relation_frames": "same"},
    "mlp": {"reasoning": "mlp"},
    "normalized": {"normalize_relations": True},
    "shape and class only": {"heads": "object", "object_parts": ("shape", "class")},
    "geometry": {"pair_geometry": True},
    "learned": {"relation_pooling": "learned", "reasoning": "mean_deviation_trend"},
}


@pytest.mark.parametrize(
    ("variant", "num_frames"),
    [*((variant, 3) for variant in VARIANTS), ("orn", 1), ("same frame", 1)],
)
def test_equals_removing_it(variant, num_frames, tiny_config, make_network, make_batch) -> None:
    network = make_network(replace(tiny_config, **VARIANTS[variant]))
    batch = make_batch(frames=num_frames, seed=num_frames)
    empty = batch.valid_BTK.clone()
    empty[0, -1] = False  # a frame without objects
    batch = replace(batch, valid_BTK=empty)
    explanation = explain(network, batch)
    class_B = network(batch).logits_BA.argmax(dim=1)
    assert torch.equal(explanation.class_B, class_B)
    torch.testing.assert_close(explanation.output.logits_BA, network(batch).logits_BA)
    drops = pair_logit_drops(network, batch, class_B)
    pairs = [
        (clip, tuple(zip(frames, slots, strict=True)))
        for clip, frames, slots in zip(
            explanation.clip_P.tolist(),
            explanation.frames_nP.T.tolist(),
            explanation.slots_nP.T.tolist(),
            strict=True,
        )
    ]
    assert sorted(pairs) == sorted(drops)
    measures = torch.stack([explanation.values_PG.sum(dim=1), explanation.logit_drop_P], dim=1)
    expected = torch.tensor([drops[pair] for pair in pairs], dtype=torch.float64).view(-1, 2)
    torch.testing.assert_close(measures, expected, atol=1e-10, rtol=0)


@torch.no_grad()
def test_pairs_with_empty_slots_count_in_the_sum_but_are_not_listed(
    tiny_config, make_network, make_batch
) -> None:
    config = replace(tiny_config, variant="authors", relation_frames="same")
    network, batch = make_network(config), make_batch(clips=1)
    valid_BTK = torch.tensor([[[False] * 3, [True, True, True], [False, True, False]]])
    batch = replace(batch, valid_BTK=valid_BTK)
    explanation = explain(network, batch)
    torch.testing.assert_close(explanation.output.logits_BA, network(batch).logits_BA)
    assert explanation.slots_nP.shape == (2, 9 + 1)


def test_drops_are_in_the_precision_of_the_weights(tiny_config, make_network, make_batch) -> None:
    network, batch = make_network(tiny_config), make_batch()
    expected = explain(network, batch).logit_drop_P
    with torch.autocast("cpu", torch.bfloat16):
        drops = explain(network.float(), in_float32(batch)).logit_drop_P
    torch.testing.assert_close(drops.double(), expected, rtol=FLOAT32, atol=FLOAT32)


def test_variants_in_parts_are_the_same(tiny_config, make_network, make_batch, monkeypatch) -> None:
    network, batch = make_network(tiny_config), make_batch()
    whole = explain(network, batch)
    monkeypatch.setattr("orn.stage2_train.report.importance.VARIANTS_AT_ONCE", 2)
    torch.testing.assert_close(explain(network, batch).logit_drop_P, whole.logit_drop_P)
    empty = explain(network, replace(batch, valid_BTK=torch.zeros_like(batch.valid_BTK)))
    assert empty.logit_drop_P.shape == (0,)


def logits_without(explanation: Importance, pair: int) -> torch.Tensor:
    """(B, A) logits of the object head from the values of all other pairs."""
    related, head = explanation.related, explanation.head
    left_P = torch.arange(len(related.clique_P)) != explanation.index_P[pair]
    kept = CliqueValues(
        clique_P=related.clique_P[left_P],
        slots_nP=related.slots_nP[:, left_P],
        values_PG=related.values_PG[left_P],
        weight_P=None,
    )
    total_BRG = head.relation.totals([kept], explanation.frames, num_clips=1)
    relations_BRG = head.relations(total_BRG, explanation.frames.cliques_per_step_R)
    classifier = head.classifier(is_alone=explanation.is_alone)
    return classifier(relations_BRG, explanation.seconds_BR)


@torch.no_grad()
@pytest.mark.parametrize("variant", ["paper", "authors"])
def test_weights_of_the_first_phase_are_explained_by_their_own_classifier(
    variant, tiny_config, make_network, make_batch
) -> None:
    network = make_network(replace(tiny_config, variant=variant))
    batch = make_batch(clips=1)
    explanation = explain(network, batch, heads="object")
    expected_BA = network(batch, heads="object").logits_BA
    torch.testing.assert_close(explanation.output.logits_BA, expected_BA)
    assert torch.equal(explanation.class_B, expected_BA.argmax(dim=1))
    for pair, drop in enumerate(explanation.logit_drop_P):
        lost_BA = expected_BA - logits_without(explanation, pair)
        torch.testing.assert_close(drop, lost_BA[0, explanation.class_B[0]], atol=1e-10, rtol=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"heads": "activity"},
        {"heads": "activity", "architecture": "c3d"},
        {"clique_size": 3},
        {"clique_size": 1, "relation_frames": "same"},
    ],
)
def test_networks_without_pairs_are_refused(changes, tiny_config, make_batch) -> None:
    network = build_network(replace(tiny_config, **changes)).eval()
    with pytest.raises(ConfigError, match="no pairs of objects"):
        explain(network, make_batch())
