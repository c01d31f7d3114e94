"""What a film shows, and that neither the order nor the classes of its objects can be left out."""

from collections import Counter

import numpy as np
import pytest

from orn.demo.render_video import render
from orn.demo.scene import BYSTANDERS, DISHES, HAND, HEIGHT, LABELS, WIDTH, Scene, plan_scene
from orn.demo.world import Film

NUMBER = 120


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [plan_scene(Film(part="train", number=number, seed=0).rng()) for number in range(NUMBER)]


def test_the_world_stays_the_same(scenes: list[Scene]) -> None:
    assert [scene.render_seed for scene in scenes[:3]] == [1402421107, 1135482826, 2029376799]
    image = next(render(scenes[0])).image
    np.testing.assert_allclose(image.mean(axis=(0, 1)), [113.379, 121.753, 107.098], atol=0.01)


def test_every_film_shows_the_same_dishes_and_labels_are_balanced(scenes: list[Scene]) -> None:
    for scene in scenes:
        names = [actor.class_name for actor in scene.actors]
        assert sorted(set(names) - set(BYSTANDERS)) == sorted([*DISHES, HAND])
        assert len(names) == len(DISHES) + 3 and names.count(HAND) == 2
    share_A = (
        np.array([Counter(scene.label for scene in scenes)[label] for label in LABELS]) / NUMBER
    )
    assert (np.abs(share_A - 1 / len(LABELS)) < 0.07).all()


def test_the_label_is_the_dish_that_leaves_and_what_the_lamp_does(scenes: list[Scene]) -> None:
    for scene in scenes:
        dish, lamp = scene.label.split(": ")
        visible = {
            actor.class_name: [0 < x < WIDTH and 0 < y < HEIGHT for x, y in actor.position_F2]
            for actor in scene.actors
            if actor.class_name in DISHES
        }
        seen = {name: (all(rows[:2]), all(rows[-2:])) for name, rows in visible.items()}
        assert seen.pop(dish) == (True, False) and not any(visible[dish][-2:])
        assert sorted(seen.values()) == [(False, True), (True, True), (True, True)]
        change = int(scene.lamp_F[-1]) - int(scene.lamp_F[0])
        assert {"lamp on": 1, "lamp off": -1, "lamp steady": 0}[lamp] == change
        assert np.count_nonzero(np.diff(scene.lamp_F)) == abs(change)
