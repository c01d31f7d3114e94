"""Relations between the objects of two frames (eq. 4) against loops, and what must not matter."""

import pytest
import torch

from stage2_train.model.relation import (
    FramePairs,
    ObjectRelation,
    all_frame_pairs,
    draw_frame_pairs,
)
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
    pairs = draw_frame_pairs(size[0], size[1], generator=torch.Generator().manual_seed(5))
    drawn_of_clip = pairs.earlier_Q.reshape(size[0], size[1] - 1).tolist()
    fast = relation(objects_BTKO, valid_BTK, pairs)
    slow = _slow(relation, objects_BTKO, valid_BTK, drawn_of_clip)
    _assert_same_with_gradients(relation, objects_BTKO, fast, slow)


@pytest.mark.parametrize("size", SIZES)
def test_evaluation_equals_loops_with_gradients(size) -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(), _case(*size)
    fast = relation(objects_BTKO, valid_BTK, all_frame_pairs(size[0], size[1]))
    slow = _slow(relation, objects_BTKO, valid_BTK, [None] * size[0])
    _assert_same_with_gradients(relation, objects_BTKO, fast, slow)


def test_gradcheck() -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(2, 3), _case(1, 3, 2, 0.8, width=2)
    assert valid_BTK.any()
    pairs = all_frame_pairs(1, 3)
    assert torch.autograd.gradcheck(
        lambda objects: relation(objects, valid_BTK, pairs), objects_BTKO
    )


def test_sums_over_pairs_and_averages_over_earlier_frames() -> None:
    relation = ObjectRelation(1, 1).double()
    with torch.no_grad():  # h(o_j, o_k) = o_j + 10 o_k for positive numbers
        for parameter in relation.parameters():
            parameter.fill_(0 if parameter.ndim == 1 else 1)
        relation.first_later.weight.fill_(10)
    objects_BTKO = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 0.0]]]).double()[..., None]
    valid_BTK = torch.tensor([[[True, True], [True, True], [True, False]]])
    g = relation(objects_BTKO, valid_BTK, all_frame_pairs(1, 3))
    # t = 1: j in {1, 2}, k in {3, 4}: 31 + 41 + 32 + 42.
    # t = 2: k is 5; t' = 0 gives 51 + 52, t' = 1 gives 53 + 54.
    assert g.flatten().tolist() == [146.0, (51 + 52 + 53 + 54) / 2]


def test_the_earlier_frame_comes_first() -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(), _case(1, 2, 2, 1.0)
    forward = relation(objects_BTKO, valid_BTK, all_frame_pairs(1, 2))
    backward = relation(objects_BTKO.flip(1), valid_BTK, all_frame_pairs(1, 2))
    assert (forward - backward).abs().max() > 1e-3


def test_invalid_slots_are_never_read() -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(), _case(2, 3, 4, 0.5)
    pairs = all_frame_pairs(2, 3)
    expected = relation(objects_BTKO, valid_BTK, pairs)
    spoilt_BTKO = objects_BTKO.detach().where(valid_BTK[..., None], torch.nan).requires_grad_()
    found = relation(spoilt_BTKO, valid_BTK, pairs)
    assert torch.equal(found, expected)
    found.sum().backward()
    assert not spoilt_BTKO.grad[~valid_BTK].any()
    assert all(parameter.grad.isfinite().all() for parameter in relation.parameters())


def test_object_order_does_not_matter() -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(), _case(2, 3, 4, 0.7)
    pairs = all_frame_pairs(2, 3)
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
    g = relation(objects_BTKO, valid_BTK, all_frame_pairs(1, 3))
    assert not g[0, 0].any()
    assert g[0, 1].any()
    assert not relation(objects_BTKO, torch.zeros_like(valid_BTK), all_frame_pairs(1, 3)).any()


def test_only_the_drawn_earlier_frame_is_read() -> None:
    relation, (objects_BTKO, valid_BTK) = _relation(), _case(1, 4, 2, 1.0)
    pairs = FramePairs(
        clip_Q=torch.zeros(3, dtype=torch.int64),
        earlier_Q=torch.tensor([0, 0, 1]),
        later_Q=torch.tensor([1, 2, 3]),
        pairs_per_frame_T=torch.ones(3),
    )
    before = relation(objects_BTKO, valid_BTK, pairs)
    changed_BTKO = objects_BTKO.detach().clone()
    changed_BTKO[0, 0, 1] += 1
    changed = (relation(changed_BTKO, valid_BTK, pairs) != before).any(2)
    assert changed.tolist() == [[True, True, False]]


def test_all_frame_pairs() -> None:
    pairs = all_frame_pairs(2, 3)
    rows = torch.stack([pairs.clip_Q, pairs.earlier_Q, pairs.later_Q], dim=1).tolist()
    assert rows == [[0, 0, 1], [0, 0, 2], [0, 1, 2], [1, 0, 1], [1, 0, 2], [1, 1, 2]]
    assert pairs.pairs_per_frame_T.tolist() == [1, 2]


def test_drawn_frame_pairs_are_uniform_over_the_past() -> None:
    num_clips, num_frames = 6000, 5
    pairs = draw_frame_pairs(num_clips, num_frames, generator=torch.Generator().manual_seed(0))
    for t in range(1, num_frames):
        counts = torch.bincount(pairs.earlier_Q[pairs.later_Q == t], minlength=t)
        assert len(counts) == t
        expected = num_clips / t  # five standard deviations of a binomial count
        assert (counts - expected).abs().max() <= 5 * (expected * (1 - 1 / t)) ** 0.5


def test_draws_follow_the_generator() -> None:
    def draw(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return draw_frame_pairs(4, 6, generator=generator).earlier_Q.tolist()

    state = torch.random.get_rng_state()
    assert draw(1) == draw(1) != draw(2)
    assert torch.equal(state, torch.random.get_rng_state())


def test_first_layer_starts_as_one_of_both_halves() -> None:
    torch.manual_seed(0)
    relation = ObjectRelation(50, 40)
    for weight in (relation.first_earlier.weight, relation.first_later.weight):
        assert 0.99 * 100**-0.5 < weight.abs().max() <= 100**-0.5
