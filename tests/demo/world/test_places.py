"""`demo-places`: what its films show, and that one arrangement says nothing of the label."""

import numpy as np
import pytest

from orn.demo.world.dials import HEIGHT, ROLE_Y, WIDTH, Dials
from orn.demo.world.places import arrange, place_classes, plan_places_scene

LABELS = range(len(place_classes(Dials())))


def _distances(one_N2: np.ndarray, other_M2: np.ndarray) -> np.ndarray:
    return np.hypot(*np.moveaxis(one_N2[:, None] - other_M2[None], 2, 0))


@pytest.mark.parametrize("columns", [0, 3, 5])
@pytest.mark.parametrize("label", LABELS)
def test_one_ball_stands_where_the_label_says_and_objects_apart_and_in_view(label, columns) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        before_N2, after_N2 = arrange(label, dials=Dials(columns=columns), rng=rng)
        near_3N = _distances(after_N2[3:], before_N2[:3]) < 10
        expected = [label] if label < 3 else []
        assert np.flatnonzero(near_3N.any(axis=0)).tolist() == expected
        assert near_3N.sum() == len(expected)
        for half_N2 in (before_N2, after_N2):
            assert half_N2.shape == (6, 2)
            gaps = _distances(half_N2, half_N2) + 1000 * np.eye(6)
            assert gaps.min() >= 24
            assert (half_N2 >= 13).all()
            assert (half_N2 <= (WIDTH - 13, HEIGHT - 13)).all()


def test_a_grid_has_so_many_places() -> None:
    found = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        both_N2 = np.concatenate(arrange(seed % 4, dials=Dials(columns=4), rng=rng))
        found |= {(float(x), float(y)) for x, y in both_N2}
    assert len(found) == 4 * 3


@pytest.mark.parametrize("columns", [0, 4])
def test_places_of_either_half_do_not_depend_on_the_label(columns) -> None:
    """Mean and spread of every object's place agree between labels, as far as 400 films tell."""
    films = 400
    moments = []
    for label in LABELS:
        rng = np.random.default_rng(label)
        drawn = [arrange(label, dials=Dials(columns=columns), rng=rng) for _ in range(films)]
        both = np.array(drawn)
        moments.append((both.mean(axis=0), both.std(axis=0)))
    for mean, deviation in moments[1:]:
        error = 5 * deviation * (2 / films) ** 0.5
        assert (np.abs(mean - moments[0][0]) < error).all()
        assert np.allclose(deviation, moments[0][1], rtol=0.2)


def test_a_film_has_the_same_cast_whatever_its_label() -> None:
    for label, name in enumerate(place_classes(Dials())):
        scene = plan_places_scene(label, dials=Dials(), rng=np.random.default_rng(label))
        assert scene.label == name
        names = [actor.class_name for actor in scene.actors]
        assert names == [*ROLE_Y, "sports ball", "sports ball", "sports ball"]
        moved = [np.ptp(actor.position_F2, axis=0).max() > 0 for actor in scene.actors]
        assert all(moved)


def test_owners_and_balls_are_counted() -> None:
    dials = Dials(owners=2, balls=1, columns=3)
    assert place_classes(dials) == ("bowl", "cup", "none")
    for label, name in enumerate(place_classes(dials)):
        scene = plan_places_scene(label, dials=dials, rng=np.random.default_rng(label))
        assert scene.label == name
        assert [actor.class_name for actor in scene.actors] == ["bowl", "cup", "sports ball"]
        before_N2, after_N2 = (
            np.array([actor.position_F2[frame] for actor in scene.actors]) for frame in (0, -1)
        )
        near_2 = _distances(after_N2[2:], before_N2[:2])[0] < 10
        assert near_2.tolist() == [label == 0, label == 1]
