"""Relations between the objects of two frames (eq. 4) against loops, and what must not matter."""

import pytest
import torch

from stage2_train.model import relation as relation_module
from stage2_train.model.frame_cliques import (
    FrameCliques,
    all_earlier_frames,
    drawn_earlier_frames,
    within_frames,
)
from stage2_train.model.relation import ObjectRelation
from tests.reference.object_relation import relations_of_clip

ROUND_OFF = 1e-10  # float64, sums over up to 100 pairs in another order

# B, T, K, share of valid slots
SIZES = [(2, 4, 3, 0.6), (1, 2, 1, 1.0), (3, 3, 5, 0.3), (1, 5, 2, 1.0), (2, 1, 3, 1.0)]


def _case(clips, frames, slots, share, width=4):
    generator = torch.Generator().manual_seed(clips + 10 * frames)
    objects_BTKO = torch.randn(clips, frames, slots, width, generator=generator).double()
    valid_BTK = torch.rand(clips, frames, slots, generator=generator) < share
    return objects_BTKO.requires_grad_(), valid_BTK


def _relation(object_width=4, relation_width=6) -> ObjectRelation:
    torch.manual_seed(3)
    return ObjectRelation(object_width, relation_width).double()


def _slow(relation, objects_BTKO, valid_BTK, drawn_of_clip) -> torch.Tensor:
    clips = []
    for b in range(len(objects_BTKO)):
        objects_of_frame = [
            [row for row, valid in zip(frame, valids, strict=True) if valid]
            for frame, valids in zip(objects_BTKO[b], valid_BTK[b], strict=True)
        ]
        weights = dict(relation.named_parameters())
        relations = relations_of_clip(weights, objects_of_frame, drawn_of_clip[b])
        clips.append(torch.stack(relations) if relations else objects_BTKO.new_zeros(0, 6))
    return torch.stack(clips)


def _assert_same_with_gradients(relation, objects_BTKO, fast, slow) -> None:
    assert fast.shape == slow.shape
    torch.testing.assert_close(fast, slow, rtol=ROUND_OFF, atol=ROUND_OFF)
    if fast.grad_fn is None or not slow.requires_grad:
        return
    upstream = torch.randn(fast.shape, generator=torch.Generator().manual_seed(0)).double()
    inputs = [objects_BTKO, *relation.parameters()]
    for fast_grad, slow_grad in zip(
        torch.autograd.grad((fast * upstream).sum(), inputs),
        torch.autograd.grad((slow * upstream).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(fast_grad, slow_grad, rtol=ROUND_OFF, atol=ROUND_OFF)


@pytest.mark.parametrize("size", SIZES)
def test_training_equals_loops_with_gradients(size) -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(), _case(*size)
    pairs = drawn_earlier_frames(size[0], size[1], generator=torch.Generator().manual_seed(5))
    drawn_of_clip = pairs.frames_nQ[0].reshape(size[0], size[1] - 1).tolist()
    fast = relation(objects_BTKO, valid_BTK, pairs)
    slow = _slow(relation, objects_BTKO, valid_BTK, drawn_of_clip)
    _assert_same_with_gradients(relation, objects_BTKO, fast, slow)


@pytest.mark.parametrize("size", SIZES)
def test_evaluation_equals_loops_with_gradients(size) -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(), _case(*size)
    fast = relation(objects_BTKO, valid_BTK, all_earlier_frames(size[0], size[1]))
    slow = _slow(relation, objects_BTKO, valid_BTK, [None] * size[0])
    _assert_same_with_gradients(relation, objects_BTKO, fast, slow)


def test_gradcheck() -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(2, 3), _case(1, 3, 2, 0.8, width=2)
    assert valid_BTK.any()
    pairs = all_earlier_frames(1, 3)
    assert torch.autograd.gradcheck(
        lambda objects: relation(objects, valid_BTK, pairs), objects_BTKO
    )


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


def test_invalid_slots_are_never_read() -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(), _case(2, 3, 4, 0.5)
    pairs = all_earlier_frames(2, 3)
    expected = relation(objects_BTKO, valid_BTK, pairs)
    spoilt_BTKO = objects_BTKO.detach().where(valid_BTK[..., None], torch.nan).requires_grad_()
    found = relation(spoilt_BTKO, valid_BTK, pairs)
    assert torch.equal(found, expected)
    found.sum().backward()
    assert not spoilt_BTKO.grad[~valid_BTK].any()
    assert all(parameter.grad.isfinite().all() for parameter in relation.parameters())


def test_object_order_does_not_matter() -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(), _case(2, 3, 4, 0.7)
    pairs = all_earlier_frames(2, 3)
    order = [2, 0, 3, 1]
    torch.testing.assert_close(
        relation(objects_BTKO[:, :, order], valid_BTK[:, :, order], pairs),
        relation(objects_BTKO, valid_BTK, pairs),
        rtol=ROUND_OFF,
        atol=ROUND_OFF,
    )


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
