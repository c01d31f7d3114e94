"""Which frames are related: all earlier ones, drawn ones, or a frame with itself."""

import itertools

import pytest
import torch

from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.frame_cliques import (
    all_earlier_frames,
    choose_frame_cliques,
    drawn_earlier_frames,
    within_frames,
)


def _rows(cliques) -> list[list[int]]:
    return torch.cat([cliques.clip_Q[None], cliques.frames_nQ, cliques.step_Q[None]]).T.tolist()


def test_all_earlier_frames() -> None:
    pairs = all_earlier_frames(2, 3)
    clip = [[0, 1, 0], [0, 2, 1], [1, 2, 1]]
    assert _rows(pairs) == [[b, *row] for b in range(2) for row in clip]
    assert pairs.cliques_per_step_R.tolist() == [1, 2]


def test_all_choices_of_two_earlier_frames() -> None:
    cliques = all_earlier_frames(1, 4, num_earlier=2)
    expected = [
        [0, *earlier, t, t - 1]
        for t in (1, 2, 3)
        for earlier in itertools.product(range(t), repeat=2)
    ]
    assert _rows(cliques) == expected
    assert cliques.cliques_per_step_R.tolist() == [1, 4, 9]


def test_within_frames() -> None:
    cliques = within_frames(2, 2, clique_size=2)
    assert _rows(cliques) == [[0, 0, 0, 0], [0, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 1]]
    assert cliques.cliques_per_step_R.tolist() == [1, 1]
    assert within_frames(1, 3, clique_size=1).frames_nQ.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("num_earlier", [1, 2])
def test_a_clip_of_one_frame_has_no_earlier_one(num_earlier) -> None:
    for cliques in (
        all_earlier_frames(2, 1, num_earlier=num_earlier),
        drawn_earlier_frames(2, 1, num_earlier=num_earlier),
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
    pairs = drawn_earlier_frames(num_clips, num_frames, generator=torch.Generator().manual_seed(0))
    for t in range(1, num_frames):
        counts = torch.bincount(pairs.frames_nQ[0][pairs.frames_nQ[1] == t], minlength=t)
        assert len(counts) == t
        expected = num_clips / t  # five standard deviations of a binomial count
        assert (counts - expected).abs().max() <= 5 * (expected * (1 - 1 / t)) ** 0.5


def test_two_draws_are_independent() -> None:
    cliques = drawn_earlier_frames(
        4000, 3, num_earlier=2, generator=torch.Generator().manual_seed(0)
    )
    first, second, later = cliques.frames_nQ
    pairs = torch.bincount((2 * first + second)[later == 2], minlength=4)
    assert (pairs - 1000).abs().max() <= 5 * (4000 * 3 / 16) ** 0.5
