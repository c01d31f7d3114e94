"""`demo-both`: what its films show, and that one arrangement says nothing of the label."""

import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest

from orn.demo.world.parameters import ALIKE, HEIGHT, SURFACES, WIDTH, WorldParameters
from orn.demo.world.places import arrange_alike, plan_both_scene
from orn.demo.world.render_film import draw_table


def _distances(one_N2: np.ndarray, other_M2: np.ndarray) -> np.ndarray:
    return np.hypot(*np.moveaxis(one_N2[:, None] - other_M2[None], 2, 0))


@pytest.mark.parametrize("columns", [0, 3])
@pytest.mark.parametrize("taker", range(len(ALIKE)))
def test_one_of_three_takes_the_place_of_the_next(taker, columns) -> None:
    firsts, lasts = [], []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        before_32, after_32 = arrange_alike(
            taker, parameters=WorldParameters(columns=columns), rng=rng
        )
        taken = np.argwhere(_distances(after_32, before_32) < 10).tolist()
        assert taken == [[taker, (taker + 1) % 3]]
        assert (_distances(after_32, after_32) + 1000 * np.eye(3)).min() >= 24
        firsts.append(before_32)
        lasts.append(after_32)
    for half in (firsts, lasts):  # whoever it is, all three stand anywhere in either half
        middle_32 = np.mean(half, axis=0)
        error_2 = 5 * np.array([WIDTH, HEIGHT]) / 2 / 80**0.5
        assert (np.abs(middle_32 - (WIDTH / 2, HEIGHT / 2)) < error_2).all()


def test_neither_head_can_tell_the_labels_of_both_alone() -> None:
    films = []
    for taker, before in itertools.product(range(3), itertools.permutations(range(9), 3)):
        for others in itertools.permutations(set(range(9)) - set(before), 2):
            after = np.roll((before[(taker + 1) % 3], *others), taker).tolist()
            films.append((taker, before, tuple(after)))

    def ceiling(see) -> float:
        times = defaultdict(Counter)
        for taker, before, after in films:
            times[see(before, after)][taker] += 1
        return 100 * sum(max(each.values()) for each in times.values()) / len(films)

    who = ceiling(lambda before, after: (before, after))
    seen = [
        *(ceiling(lambda before, after: None), who / len(SURFACES), who),
        ceiling(lambda before, after: after),
        ceiling(lambda before, after: (frozenset(before), frozenset(after))),
        ceiling(lambda before, after: frozenset(zip(before, after, strict=True))),
    ]
    assert seen == pytest.approx([100 / 3, 25, 100, 100 / 3, 100 / 3, 100 / 3])


def test_a_film_of_both_looks_the_same_whoever_it_is_but_not_on_another_surface() -> None:
    rngs = (np.random.default_rng(3) for _ in range(2))
    one, other = (
        plan_both_scene(label, parameters=WorldParameters(), rng=rng)
        for label, rng in zip((0, 1), rngs, strict=True)
    )
    for mine, its in zip(one.actors, other.actors, strict=True):
        assert np.array_equal(mine.sprite.front, its.sprite.front)
    tables = [
        draw_table(np.random.default_rng(0), height=40, width=40, surface=surface)
        for surface in range(len(SURFACES))
    ]
    assert len({table.tobytes() for table in tables}) == len(SURFACES)
