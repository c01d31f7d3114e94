"""Cliques of one, two and three objects (eq. 3 and 4) against nested loops, and the frames that
they are of: all earlier ones, drawn ones, or a frame with itself."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from orn.stage2_train.model import relation as relation_module
from orn.stage2_train.model.frame_cliques import (
    FrameCliques,
    all_earlier_frames,
    choose_frame_cliques,
    sampled_earlier_frames,
)
from orn.stage2_train.model.relation import ObjectRelation
from orn.stage2_train.settings.model_config import NetworkConfig
from tests.reference.object_cliques import relations_of_clip

ROUND_OFF = 1e-10  # float64, sums of up to 200 values of size 1 in another order

VARIANTS = [(1, "same"), (2, "earlier"), (2, "same"), (3, "earlier"), (3, "same")]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Some objects, what is related, and the module that does."""

    objects_BTKO: Tensor
    valid_BTK: Tensor
    relation: ObjectRelation
    cliques: FrameCliques
    config: NetworkConfig
    training: bool

    def fast(self) -> Tensor:
        return self.relation(self.objects_BTKO, self.valid_BTK, self.cliques)

    def slow(self) -> Tensor:
        clips = []
        for b in range(len(self.objects_BTKO)):
            objects_of_frame = [
                [row for row, valid in zip(frame, valids, strict=True) if valid]
                for frame, valids in zip(self.objects_BTKO[b], self.valid_BTK[b], strict=True)
            ]
            relations = relations_of_clip(
                dict(self.relation.named_parameters()),
                objects_of_frame,
                clique_size=self.config.clique_size,
                same_frame=self.config.relation_frames == "same",
                drawn=self._drawn(b) if self.training else None,
            )
            width = self.config.relation_width
            none = self.objects_BTKO.new_zeros(0, width)
            clips.append(torch.stack(relations) if relations else none)
        return torch.stack(clips)

    def _drawn(self, clip: int) -> list[list[int]]:
        """The earlier frames of each t, as the clip's cliques have them."""
        of_clip = self.cliques.frames_nQ[:, self.cliques.clip_Q == clip]
        return of_clip[:-1].T.tolist()


def make_case(
    variant: tuple[int, str],
    *,
    clips: int = 2,
    frames: int = 3,
    slots: int = 3,
    widths: tuple[int, int] = (4, 6),
    share: float = 0.7,
    training: bool = False,
    seed: int = 0,
) -> Case:
    """A case of random numbers; `share` of the slots hold objects."""
    config = NetworkConfig(
        num_activities=2,
        clique_size=variant[0],
        relation_frames=variant[1],
        relation_width=widths[1],
    )
    torch.manual_seed(seed)
    relation = ObjectRelation(widths[0], widths[1], clique_size=variant[0]).double()
    objects_BTKO = torch.randn(clips, frames, slots, widths[0], dtype=torch.float64)
    return Case(
        objects_BTKO=objects_BTKO.requires_grad_(),
        valid_BTK=torch.rand(clips, frames, slots) < share,
        relation=relation,
        cliques=choose_frame_cliques(
            config,
            num_clips=clips,
            num_frames=frames,
            training=training,
            generator=torch.Generator().manual_seed(seed),
        ),
        config=config,
        training=training,
    )


sizes = st.fixed_dictionaries(
    {
        "clips": st.integers(1, 3),
        "frames": st.integers(1, 4),
        "slots": st.integers(0, 3),
        "widths": st.tuples(st.integers(1, 5), st.integers(1, 5)),
        "share": st.sampled_from([0.0, 0.5, 1.0]),
        "seed": st.integers(0, 2**16),
    }
)
usual_size = {"clips": 2, "frames": 4, "slots": 3}
each_variant = pytest.mark.parametrize(
    ("variant", "training"),
    [
        pytest.param(variant, training, id=f"{variant[0]}-{variant[1]}-{training}")
        for variant in VARIANTS
        for training in (False, True)
    ],
)


def _assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=ROUND_OFF, atol=ROUND_OFF)


def _gradients(case: Case, result_BRG: Tensor) -> list[Tensor]:
    """Of the objects and of every weight; zeros where nothing flows."""
    inputs = [case.objects_BTKO, *case.relation.parameters()]
    upstream = torch.randn(result_BRG.shape, generator=torch.Generator().manual_seed(1)).double()
    if not result_BRG.requires_grad:
        return [torch.zeros_like(tensor) for tensor in inputs]
    return list(torch.autograd.grad((result_BRG * upstream).sum(), inputs, materialize_grads=True))


@each_variant
@settings(max_examples=12, deadline=None)
@example(size=usual_size)
@given(size=sizes)
def test_equals_loops_with_gradients(variant, training, size) -> None:
    case = make_case(variant, training=training, **size)
    fast, slow = case.fast(), case.slow()
    assert fast.shape == slow.shape
    _assert_close(fast, slow)
    for found, expected in zip(_gradients(case, fast), _gradients(case, slow), strict=True):
        _assert_close(found, expected)


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


@pytest.mark.parametrize("clique_size", [1, 2, 3])
def test_several_passes_equal_one_with_gradients(clique_size, monkeypatch) -> None:
    case = make_case((clique_size, "same" if clique_size == 1 else "earlier"), frames=4)
    expected = case.fast()
    monkeypatch.setattr(relation_module, "LARGEST_PASS", 2 * 3**clique_size)
    found = case.fast()
    _assert_close(found, expected)
    for one, other in zip(_gradients(case, found), _gradients(case, expected), strict=True):
        _assert_close(one, other)


def _rows(cliques) -> list[list[int]]:
    return torch.cat([cliques.clip_Q[None], cliques.frames_nQ, cliques.step_Q[None]]).T.tolist()


def test_all_earlier_frames() -> None:
    pairs = all_earlier_frames(2, 3)
    clip = [[0, 1, 0], [0, 2, 1], [1, 2, 1]]
    assert _rows(pairs) == [[b, *row] for b in range(2) for row in clip]
    assert pairs.cliques_per_step_R.tolist() == [1, 2]


@pytest.mark.parametrize("num_earlier", [1, 2])
def test_a_clip_of_one_frame_has_no_earlier_one(num_earlier) -> None:
    for cliques in (
        all_earlier_frames(2, 1, num_earlier=num_earlier),
        sampled_earlier_frames(2, 1, num_earlier=num_earlier),
    ):
        assert cliques.frames_nQ.shape == (num_earlier + 1, 0)
        assert cliques.num_steps == 0


@pytest.mark.parametrize(
    ("settings", "training", "num_cliques", "num_steps"),
    [
        ({}, True, 3, 3),
        ({}, False, 6, 3),
        ({"clique_size": 3}, True, 3, 3),
        ({"clique_size": 3}, False, 14, 3),
        ({"relation_frames": "same"}, True, 4, 4),
        ({"relation_frames": "same", "clique_size": 1}, False, 4, 4),
    ],
)
def test_the_configuration_chooses(settings, training, num_cliques, num_steps) -> None:
    cliques = choose_frame_cliques(
        NetworkConfig(num_activities=2, **settings), num_clips=1, num_frames=4, training=training
    )
    assert cliques.frames_nQ.shape == (settings.get("clique_size", 2), num_cliques)
    assert cliques.num_steps == num_steps


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
