"""Cliques of one, two and three objects (eq. 3 and 4) against nested loops, and the frames that
they are of: all earlier ones, drawn ones, or a frame with itself."""

import pytest
import torch
from torch import Tensor

from orn.stage2_train.model import relation as relation_module
from orn.stage2_train.model.relation import ObjectRelation
from orn.stage2_train.model.relation_frames import (
    FrameCliques,
    choose_frame_cliques,
    sampled_earlier_frames,
)
from tests.reference.object_cliques import relations_of_clip

ROUND_OFF = 1e-10  # float64, sums of up to 200 values of size 1 in another order

VARIANTS = [(1, "same"), (2, "earlier"), (2, "same"), (3, "earlier"), (3, "same")]


Case = tuple[ObjectRelation, Tensor, Tensor, FrameCliques]
"""The module, (B, T, K, O) objects, the (B, T, K) slots that hold one, and what is related."""


def make_case(variant: tuple[int, str], *, share: float = 0.7, training: bool = False) -> Case:
    """A case of random numbers; `share` of the slots hold objects."""
    size, frames = variant
    torch.manual_seed(0)
    relation = ObjectRelation(5, 6, clique_size=size).double()
    objects_BTKO = torch.randn(2, 4, 3, 5, dtype=torch.float64, requires_grad=True)
    generator = torch.Generator().manual_seed(0)
    options = {"clique_size": size, "relation_frames": frames, "training": training}
    cliques = choose_frame_cliques(2, 4, **options, generator=generator)
    return relation, objects_BTKO, torch.rand(2, 4, 3) < share, cliques


def by_loops(case: Case, variant: tuple[int, str], *, training: bool) -> Tensor:
    relation, objects_BTKO, valid_BTK, cliques = case
    clips = []
    for clip in range(len(objects_BTKO)):
        drawn = cliques.frames_nQ[:-1, cliques.clip_Q == clip].T.tolist()
        relations = relations_of_clip(
            dict(relation.named_parameters()),
            [[*row[own]] for row, own in zip(objects_BTKO[clip], valid_BTK[clip], strict=True)],
            clique_size=variant[0],
            same_frame=variant[1] == "same",
            drawn=drawn if training else None,
        )
        clips.append(torch.stack(relations))
    return torch.stack(clips)


def _assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=ROUND_OFF, atol=ROUND_OFF)


def _gradients(case: Case, result_BRG: Tensor) -> list[Tensor]:
    """Of the objects and of every weight; zeros where nothing flows."""
    relation, objects_BTKO, *_ = case
    inputs = [objects_BTKO, *relation.parameters()]
    upstream = torch.randn(result_BRG.shape, generator=torch.Generator().manual_seed(1)).double()
    if not result_BRG.requires_grad:
        return [torch.zeros_like(tensor) for tensor in inputs]
    return list(torch.autograd.grad((result_BRG * upstream).sum(), inputs, materialize_grads=True))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_equals_loops_with_gradients(variant, training, share) -> None:
    case = make_case(variant, share=share, training=training)
    relation, *given = case
    fast, slow = relation(*given), by_loops(case, variant, training=training)
    assert fast.shape == slow.shape
    _assert_close(fast, slow)
    for actual, expected in zip(_gradients(case, fast), _gradients(case, slow), strict=True):
        _assert_close(actual, expected)


@pytest.mark.parametrize("clique_size", [1, 2, 3])
def test_several_passes_equal_one_with_gradients(clique_size, monkeypatch) -> None:
    case = make_case((clique_size, "same" if clique_size == 1 else "earlier"))
    relation, *given = case
    expected = relation(*given)
    monkeypatch.setattr(relation_module, "LARGEST_PASS", 2 * 3**clique_size)
    actual = relation(*given)
    _assert_close(actual, expected)
    for one, other in zip(_gradients(case, actual), _gradients(case, expected), strict=True):
        _assert_close(one, other)


def test_drawn_frames_are_uniform_over_the_past() -> None:
    num_clips, num_frames = 6000, 5
    pairs = sampled_earlier_frames(
        num_clips, num_frames, generator=torch.Generator().manual_seed(0)
    )
    for t in range(1, num_frames):
        counts = torch.bincount(pairs.frames_nQ[0][pairs.frames_nQ[1] == t], minlength=t)
        assert len(counts) == t
        expected = num_clips / t  # five standard deviations of a binomial count
        assert (counts - expected).abs().max() <= 5 * (expected * (1 - 1 / t)) ** 0.5


def test_two_draws_are_independent() -> None:
    cliques = sampled_earlier_frames(
        4000, 3, num_earlier=2, generator=torch.Generator().manual_seed(0)
    )
    first, second, later = cliques.frames_nQ
    pairs = torch.bincount((2 * first + second)[later == 2], minlength=4)
    assert (pairs - 1000).abs().max() <= 5 * (4000 * 3 / 16) ** 0.5
