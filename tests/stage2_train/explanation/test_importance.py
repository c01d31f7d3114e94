"""What is said to have decided equals what is lost when it is really taken away."""

from dataclasses import replace

import pytest
import torch

from orn.shared.errors import ConfigError
from orn.stage2_train.explanation.importance import explain
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.frame_cliques import choose_frame_cliques
from orn.stage2_train.model.inputs import NetworkOutput
from tests.reference.importance import clique_logit_drops, object_logit_drops

VARIANTS = {
    "orn": {},
    "object-head": {"heads": "object"},
    "same frame": {"relation_frames": "same"},
    "single objects": {"clique_size": 1, "relation_frames": "same"},
    "triples": {"clique_size": 3},
    "mlp": {"reasoning": "mlp"},
    "joint": {"head_combination": "joint"},
    "normalised": {"normalise_relations": True, "normalise_hidden": True},
    "shape and class only": {"heads": "object", "object_parts": ("shape", "class")},
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
    found = explain(network, batch)
    class_B = network(batch).logits_BA.argmax(dim=1)
    assert torch.equal(found.class_B, class_B)
    torch.testing.assert_close(found.output.logits_BA, network(batch).logits_BA)
    torch.testing.assert_close(
        found.object_logit_drop_BTK, object_logit_drops(network, batch, class_B), atol=1e-10, rtol=0
    )
    wanted = clique_logit_drops(network, batch, class_B)
    cliques = [
        (clip, tuple(zip(frames, slots, strict=True)))
        for clip, frames, slots in zip(
            found.clip_P.tolist(),
            found.frames_nP.T.tolist(),
            found.slots_nP.T.tolist(),
            strict=True,
        )
    ]
    assert sorted(cliques) == sorted(wanted)
    measures = torch.stack([found.activation_P, found.logit_drop_P], dim=1)
    expected = torch.tensor([wanted[each] for each in cliques], dtype=torch.float64).view(-1, 2)
    torch.testing.assert_close(measures, expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("variant", ["orn", "joint", "triples"])
def test_other_classes_are_explained_from_the_same_features(
    variant, tiny_config, make_network, make_batch, monkeypatch
) -> None:
    network, batch = make_network(replace(tiny_config, **VARIANTS[variant])), make_batch()
    one_B, other_B = torch.tensor([2, 0]), torch.tensor([0, 1])
    first, wanted = (explain(network, batch, class_B=each) for each in (one_B, other_B))
    expected_BTK = object_logit_drops(network, batch, one_B)
    torch.testing.assert_close(first.object_logit_drop_BTK, expected_BTK, atol=1e-10, rtol=0)
    monkeypatch.setattr(network, "trunk_features", None)
    monkeypatch.setattr(network.object_head, "objects", None)
    found = first.of_classes(other_B)
    for name in (
        "class_B",
        "logit_drop_P",
        "object_logit_drop_BTK",
        "activation_P",
        "clip_P",
        "frames_nP",
    ):
        assert torch.equal(getattr(found, name), getattr(wanted, name))
    assert torch.equal(found.output.logits_BA, wanted.output.logits_BA)


@torch.no_grad()
def test_an_object_takes_its_pairs_with_empty_slots_along(
    tiny_config, make_network, make_batch
) -> None:
    config = replace(tiny_config, empty_slots="as_authors", relation_frames="same")
    network, batch = make_network(config), make_batch(clips=1)
    valid_BTK = torch.tensor([[[True, True, True], [False, True, False], [False] * 3]])
    batch = replace(batch, valid_BTK=valid_BTK)
    found = explain(network, batch)
    torch.testing.assert_close(found.output.logits_BA, network(batch).logits_BA)
    assert found.slots_nP.shape == (2, 9 + 1)  # no pair with a slot that is empty is listed
    head = network.object_head
    objects_BTKO, _, _ = head.objects(network.trunk_features(batch), batch)
    cliques = choose_frame_cliques(config, num_clips=1, num_frames=3, training=False)
    (values,) = head.relation.values(
        objects_BTKO, valid_BTK, cliques, last_BTK=head.last_slots(valid_BTK)
    )
    assert values.slots_nP.shape == (2, 9 + 3)
    for frame, slot in ((0, 2), (1, 1)):
        kept_P = (values.slots_nP != 3 * frame + slot).all(dim=0)
        total_1RG = torch.zeros(1, 3, config.relation_width, dtype=torch.float64)
        total_1RG[0].index_add_(0, values.clique_P[kept_P], values.values_PG[kept_P])
        without = head.reasoning(head.normalise(total_1RG))[0, found.class_B.clone()]
        drop = found.output.object_logits_BA[0, found.class_B] - without
        torch.testing.assert_close(found.object_logit_drop_BTK[0, frame, slot], drop[0])


@torch.no_grad()
@pytest.mark.parametrize("clique_size", [1, 3])
def test_empty_slots_are_in_pairs_only(
    tiny_config, make_network, make_batch, clique_size: int
) -> None:
    config = replace(tiny_config, clique_size=clique_size, relation_frames="same")
    network = make_network(config)
    padded = make_network(replace(config, empty_slots="as_authors"))
    batch = make_batch()
    one, other = explain(network, batch), explain(padded, batch)
    assert torch.equal(padded(batch).logits_BA, network(batch).logits_BA)
    assert torch.equal(other.object_logit_drop_BTK, one.object_logit_drop_BTK)


def test_variants_in_parts_are_the_same(tiny_config, make_network, make_batch, monkeypatch) -> None:
    network, batch = make_network(tiny_config), make_batch()
    whole = explain(network, batch)
    monkeypatch.setattr("orn.stage2_train.explanation.importance.VARIANTS_AT_ONCE", 2)
    parts = explain(network, batch)
    torch.testing.assert_close(parts.logit_drop_P, whole.logit_drop_P)
    torch.testing.assert_close(parts.object_logit_drop_BTK, whole.object_logit_drop_BTK)
    empty = explain(network, replace(batch, valid_BTK=torch.zeros_like(batch.valid_BTK)))
    assert empty.logit_drop_P.shape == (0,)
    assert not empty.object_logit_drop_BTK.any()


def test_the_head_that_decided_is_named(tiny_config, make_network, make_batch) -> None:
    found = explain(make_network(tiny_config), make_batch(clips=1))
    logits = {"a": [[1.0, 0.0, 0.9]], "b": [[0.0, 1.0, 0.9]]}
    for activity, of_object, explained, says in (
        ("a", "a", 0, "both"),
        ("a", "b", 0, "activity_head"),
        ("b", "a", 0, "object_head"),
        ("a", "b", 2, "neither"),
    ):
        output = NetworkOutput(
            activity_logits_BA=torch.tensor(logits[activity]),
            object_logits_BA=torch.tensor(logits[of_object]),
        )
        case = replace(found, output=output, class_B=torch.tensor([explained]))
        assert case.decided_by() == [says]


@pytest.mark.parametrize("architecture", ["object_video", "c3d"])
def test_networks_without_objects_are_refused(architecture, tiny_config, make_batch) -> None:
    config = replace(tiny_config, architecture=architecture, heads="activity")
    network = build_network(config).eval()
    with pytest.raises(ConfigError, match="object head"):
        explain(network, make_batch())


@pytest.mark.parametrize("variant", ["orn", "joint", "triples"])
def test_captum_finds_the_same(variant, tiny_config, make_network, make_batch) -> None:
    """Its ablation takes objects out of the network's input, and cliques out of the sum."""
    captum = pytest.importorskip("captum.attr", reason="needs Captum (extra dev)")
    network = make_network(replace(tiny_config, **VARIANTS[variant]))
    batch = make_batch(seed=3)
    found = explain(network, batch)
    clips_B = torch.arange(len(batch.valid_BTK))

    def of_class(logits_BA):
        return logits_BA[clips_B, found.class_B]

    def without_objects(valid_BTK):
        return of_class(network(replace(batch, valid_BTK=valid_BTK > 0)).object_logits_BA)

    logit_drop_BTK = captum.FeatureAblation(without_objects).attribute(batch.valid_BTK.double())
    logit_drop_BTK = torch.where(batch.valid_BTK, logit_drop_BTK, 0)
    torch.testing.assert_close(found.object_logit_drop_BTK, logit_drop_BTK, atol=1e-10, rtol=0)

    def without_cliques(kept_1P):
        return of_class(found.logits_with(kept_1P[0] > 0)).sum()[None]

    kept_1P = torch.ones(1, len(found.clip_P), dtype=torch.float64)
    (logit_drop_P,) = captum.FeatureAblation(without_cliques).attribute(kept_1P)
    torch.testing.assert_close(found.logit_drop_P, logit_drop_P, atol=1e-10, rtol=0)


@pytest.mark.parametrize("variant", ["orn", "joint", "triples"])
def test_groups_are_taken_out_together_and_parts_one_after_another(
    variant, tiny_config, make_network, make_batch
) -> None:
    found = explain(make_network(replace(tiny_config, **VARIANTS[variant])), make_batch())
    clip_N = torch.arange(len(found.class_B)).repeat_interleave(2)
    group_P = 2 * found.clip_P + torch.arange(len(found.clip_P)) % 2
    logits_BA = found.output.object_logits_BA
    wanted_N = [
        (logits_BA - found.logits_with(group_P != group))[clip, found.class_B[clip]]
        for group, clip in enumerate(clip_N.tolist())
    ]
    torch.testing.assert_close(
        found.group_logit_drops(group_P, clip_N), torch.stack(wanted_N), atol=1e-10, rtol=0
    )
    part_P = torch.arange(len(found.clip_P)) % 3
    parts = found.logits_by_parts(part_P, 4)
    without = [found.logits_with(part_P >= part) for part in range(4)]
    alone = [found.logits_with(part_P < part) for part in range(4)]
    wanted = torch.stack(without), torch.stack(alone)
    torch.testing.assert_close(parts, wanted, atol=1e-10, rtol=0)
