"""Relations between the objects of two frames (eq. 4): sums by hand, what is read, several passes.

That cliques of every size equal loops is in test_cliques.
"""

import pytest
import torch

from orn.stage2_train.model import relation as relation_module
from orn.stage2_train.model.frame_cliques import (
    FrameCliques,
    all_earlier_frames,
    within_frames,
)
from orn.stage2_train.model.relation import ObjectRelation

ROUND_OFF = 1e-10  # float64, sums over up to 100 pairs in another order


def _case(clips, frames, slots, share, width=4):
    generator = torch.Generator().manual_seed(clips + 10 * frames)
    objects_BTKO = torch.randn(clips, frames, slots, width, generator=generator).double()
    valid_BTK = torch.rand(clips, frames, slots, generator=generator) < share
    return objects_BTKO.requires_grad_(), valid_BTK


def _relation(object_width=4, relation_width=6) -> ObjectRelation:
    torch.manual_seed(3)
    return ObjectRelation(object_width, relation_width).double()


def test_sums_over_pairs_and_averages_over_earlier_frames() -> None:
    relation = ObjectRelation(1, 1).double()
    with torch.no_grad():  # h(o_j, o_k) = o_j + 10 o_k for positive numbers
        for parameter in relation.parameters():
            parameter.fill_(0 if parameter.ndim == 1 else 1)
        relation.first[1].weight.fill_(10)
    objects_BTKO = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 0.0]]]).double()[..., None]
    valid_BTK = torch.tensor([[[True, True], [True, True], [True, False]]])
    g = relation(objects_BTKO, valid_BTK, all_earlier_frames(1, 3))
    # t = 1: j in {1, 2}, k in {3, 4}: 31 + 41 + 32 + 42.
    # t = 2: k is 5; t' = 0 gives 51 + 52, t' = 1 gives 53 + 54.
    assert g.flatten().tolist() == [146.0, (51 + 52 + 53 + 54) / 2]


def test_the_earlier_frame_comes_first() -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(), _case(1, 2, 2, 1.0)
    forward = relation(objects_BTKO, valid_BTK, all_earlier_frames(1, 2))
    backward = relation(objects_BTKO.flip(1), valid_BTK, all_earlier_frames(1, 2))
    assert (forward - backward).abs().max() > 1e-3


def test_frames_without_objects_relate_to_nothing() -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(), _case(1, 3, 2, 1.0)
    valid_BTK[0, 1] = False
    g = relation(objects_BTKO, valid_BTK, all_earlier_frames(1, 3))
    assert not g[0, 0].any()
    assert g[0, 1].any()
    assert not relation(objects_BTKO, torch.zeros_like(valid_BTK), all_earlier_frames(1, 3)).any()


def test_only_the_drawn_earlier_frame_is_read() -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(), _case(1, 4, 2, 1.0)
    pairs = FrameCliques(
        clip_Q=torch.zeros(3, dtype=torch.int64),
        frames_nQ=torch.tensor([[0, 0, 1], [1, 2, 3]]),
        step_Q=torch.arange(3),
        cliques_per_step_R=torch.ones(3),
    )
    before = relation(objects_BTKO, valid_BTK, pairs)
    changed_BTKO = objects_BTKO.detach().clone()
    changed_BTKO[0, 0, 1] += 1
    changed = (relation(changed_BTKO, valid_BTK, pairs) != before).any(2)
    assert changed.tolist() == [[True, True, False]]


def test_first_layer_starts_as_one_of_both_halves() -> None:
    torch.manual_seed(0)
    relation = ObjectRelation(50, 40)
    assert [layer.bias is not None for layer in relation.first] == [True, False]
    for weight in (layer.weight for layer in relation.first):
        assert 0.99 * 100**-0.5 < weight.abs().max() <= 100**-0.5


@pytest.mark.parametrize("clique_size", [1, 2, 3])
def test_several_passes_equal_one_with_gradients(clique_size, monkeypatch) -> None:
    torch.manual_seed(1)
    relation = ObjectRelation(4, 6, clique_size=clique_size).double()
    objects_BTKO, valid_BTK = _case(2, 4, 3, 0.7)
    if clique_size == 1:
        cliques = within_frames(2, 4, clique_size=1)
    else:
        cliques = all_earlier_frames(2, 4, num_earlier=clique_size - 1)
    inputs = [objects_BTKO, *relation.parameters()]
    expected = relation(objects_BTKO, valid_BTK, cliques)
    expected_grads = torch.autograd.grad(expected.pow(2).sum(), inputs)
    monkeypatch.setattr(relation_module, "LARGEST_PASS", 2 * 3**clique_size)
    found = relation(objects_BTKO, valid_BTK, cliques)
    torch.testing.assert_close(found, expected, rtol=ROUND_OFF, atol=ROUND_OFF)
    grads = torch.autograd.grad(found.pow(2).sum(), inputs)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(grad, expected_grad, rtol=ROUND_OFF, atol=ROUND_OFF)
