"""The twelve activities differ in the way their names say."""

import numpy as np
import pytest

from orn.demo.world.motion import pair_motion
from orn.demo.world.parameters import ACTIVITIES

PHASE_F = np.linspace(0.0, 1.0, 13)
RADII = (10.0, 12.0)


def motion(name: str, seed: int, phase_F: np.ndarray = PHASE_F):
    rng = np.random.default_rng(seed)
    return pair_motion(ACTIVITIES.index(name), rng, phase_F=phase_F, radii=RADII)


def distance(name: str, seed: int) -> np.ndarray:
    moved = motion(name, seed)
    return np.hypot(*(moved.x_F2 - moved.y_F2).T)


@pytest.mark.parametrize("activity", [0, 2, 6])
def test_a_mirrored_activity_is_the_next_one_backwards(activity: int) -> None:
    forward, backward = (motion(ACTIVITIES[each], seed=3) for each in (activity, activity + 1))
    np.testing.assert_allclose(forward.x_F2, backward.x_F2[::-1], atol=1e-9)
    np.testing.assert_allclose(forward.y_F2, backward.y_F2[::-1], atol=1e-9)
    np.testing.assert_allclose(forward.lift_F, backward.lift_F[::-1], atol=1e-9)
    np.testing.assert_array_equal(forward.layer_F, backward.layer_F[::-1])


@pytest.mark.parametrize("seed", range(5))
def test_towards_ends_near_but_apart_and_touching_ends_away(seed: int) -> None:
    contact = 0.85 * sum(RADII)
    towards, touch = distance("X moves towards Y", seed), distance("X touches Y and Y stays", seed)
    assert (np.diff(towards) < 1e-9).all()
    assert towards.min() > contact + 5
    assert touch.min() < contact + 0.5
    assert touch[-1] > touch.min() + 10


@pytest.mark.parametrize("seed", range(5))
def test_only_pushing_moves_y_by_contact(seed: int) -> None:
    push = motion("X pushes Y", seed)
    moving = np.hypot(*(push.y_F2 - push.y_F2[0]).T) > 1.0
    contact = 0.85 * sum(RADII)
    assert moving[-1]
    assert (distance("X pushes Y", seed)[moving] < contact + 3).all()
    assert np.ptp(motion("X touches Y and Y stays", seed).y_F2, axis=0).max() == 0


def test_swapping_exchanges_places_and_circling_goes_round() -> None:
    swap, circle = motion("X and Y swap places", 4), motion("X circles Y", 4)
    np.testing.assert_allclose(swap.x_F2[-1], swap.y_F2[0], atol=1e-9)
    np.testing.assert_allclose(swap.y_F2[-1], swap.x_F2[0], atol=1e-9)
    angle = np.unwrap(np.arctan2(circle.x_F2[:, 1], circle.x_F2[:, 0]))
    assert abs(angle[-1] - angle[0]) > 1.7 * np.pi
    np.testing.assert_array_equal(circle.y_F2, 0)
