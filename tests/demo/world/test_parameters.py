"""Each parameter changes what its name says and nothing else; the default world stays the same."""

import json
from functools import partial

import numpy as np
import pytest

from orn.demo.world import make as world
from orn.demo.world.parameters import (
    DECOY_X,
    DECOY_Y,
    DISTRACTORS,
    HAND,
    ROLE_X,
    ROLE_Y,
    WorldParameters,
)
from orn.demo.world.render import render
from orn.demo.world.scene import Scene
from orn.shared.errors import ConfigError

DEFAULT_WORLD = {
    "demo": ([931774309, 1023765162, 394478779], [120.702, 111.127, 125.682]),
    "demo-both": ([579646318, 1521800137, 360461629], [134.095, 147.565, 125.107]),
}
"""The last number drawn for each of the first three films, and the mean colour of the first frame
of the first one."""


def scenes(dataset: str = "demo", number: int = 4, **parameters) -> list[Scene]:
    rngs = [world.film_rng(0, dataset, "train", film) for film in range(number)]
    return [world.plan_film(dataset, WorldParameters(**parameters), rng) for rng in rngs]


def objects(scene: Scene, classes: tuple[str, ...]) -> list[str]:
    return [actor.class_name for actor in scene.actors if actor.class_name in classes]


@pytest.mark.parametrize("dataset", DEFAULT_WORLD)
def test_the_default_world_is_what_it_was(dataset) -> None:
    seeds, colour = DEFAULT_WORLD[dataset]
    planned = scenes(dataset, 3)
    assert [scene.render_seed for scene in planned] == seeds
    image = next(render(planned[0], WorldParameters())).image
    np.testing.assert_allclose(image.mean(axis=(0, 1)), colour, atol=0.01)


@pytest.mark.parametrize("pairs", [0, 1, 3])
def test_decoy_pairs_are_counted(pairs) -> None:
    for scene in scenes(decoy_pairs=pairs, decoy_probability=1.0):
        assert len(objects(scene, DECOY_X)) == len(objects(scene, DECOY_Y)) == pairs
        assert len(objects(scene, ROLE_X)) == len(objects(scene, ROLE_Y)) == 1
        assert [relation.in_role for relation in scene.relations] == [True] + [False] * pairs


def test_each_decoy_pair_acts_by_itself() -> None:
    counts = [len(scene.relations) - 1 for scene in scenes(number=20, decoy_pairs=2)]
    assert {0, 1, 2} == set(counts)
    acting = scenes(number=5, decoy_pairs=2, decoy_probability=1.0)
    drawn = {tuple(relation.activity for relation in scene.relations) for scene in acting}
    assert any(second != third for _, second, third in drawn)


def test_look_alikes_are_of_the_class_of_x_and_lie_still() -> None:
    for scene in scenes(look_alikes=2):
        relation = next(relation for relation in scene.relations if relation.in_role)
        x = scene.actors[relation.x_track]
        alike = [actor for actor in scene.actors if actor.class_name == x.class_name]
        assert len(alike) == 3
        moving = [actor for actor in alike if np.ptp(actor.position_F2, axis=0).max() > 0]
        assert moving == [x]
        assert len(objects(scene, ROLE_Y)) == 1


def test_the_camera_moves_as_far_as_it_is_told() -> None:
    def drift(pixels: float) -> float:
        """Largest way of a still object over the film, in pixels."""
        still = scenes(number=1, camera_pixels=pixels, idle_hand_probability=0.0)[0]
        track = len(still.actors) - 1
        assert still.actors[track].class_name in DISTRACTORS
        places = [
            np.argwhere(frame.track_HW == track).mean(axis=0)
            for frame in render(still, WorldParameters(camera_pixels=pixels, noise=0.0))
        ]
        return float(np.ptp(places, axis=0).max())

    assert drift(0.0) == 0
    assert 1.0 < drift(3.0) <= 6.5
    assert drift(6.0) == pytest.approx(2 * drift(3.0), abs=1.0)


def test_things_are_counted() -> None:
    for number in (0, 4):
        assert {len(objects(s, DISTRACTORS)) for s in scenes(distractors=number)} == {number}


def test_a_hand_and_the_parameters_of_other_data_sets_leave_a_film_alone() -> None:
    turned = scenes("demo-both", 2, decoy_pairs=3, distractors=4, look_alikes=2)
    assert [s.render_seed for s in turned] == DEFAULT_WORLD["demo-both"][0][:2]
    assert any(objects(scene, (HAND,)) for scene in scenes())


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"distractors": 5}, "at most 4, got 5"),
        ({"noise": -1.0}, "at least 0, got -1.0"),
        ({"frames": 1}, "at least 2, got 1"),
        ({"columns": 2}, "0 or at least 3, got 2"),
    ],
)
def test_values_out_of_range_are_refused(parameters, said) -> None:
    with pytest.raises(ConfigError) as error:
        WorldParameters(**parameters)
    assert said in str(error.value)
    assert next(iter(parameters)) in str(error.value)


@pytest.fixture
def draw(orn, tmp_path):
    """`orn demo world` into the temporary folder."""
    return partial(orn, "demo", "world", "--data", tmp_path, "--workers", 1)


def test_options_reach_the_films(draw, tmp_path) -> None:
    turned = {"decoy_pairs": 2, "look_alikes": 1, "distractors": 0, "camera_pixels": 0.0}
    options = ("--decoy-pairs", 2, "--look-alikes", 1, "--distractors", 0, "--camera", 0)
    draw("demo", "--films", "2,1,1", "--decoys", 1, "--texture", 0, *options)
    record = json.loads((tmp_path / "demo" / "world.json").read_text())
    assert record["films"] == {"train": 2, "validation": 1, "test": 1}
    assert WorldParameters(**record["parameters"]) == WorldParameters(
        decoy_probability=1.0, texture=0.0, **turned
    )
    truth = json.loads((tmp_path / "demo" / "ground_truth" / "test.json").read_text())
    assert [r["in_role"] for r in truth["videos"][0]["relations"]] == [True, False, False]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("demo-both --decoys 0", "--decoys: expected a parameter of demo-both"),
        ("demo-both --camera 7", "demo-both: expected camera_pixels of at most 6.0, got 7.0"),
        ("demo-both --texture 0.2", "demo-both: expected texture of at least 0.5, got 0.2"),
        ("demo --distractors 5", "'--distractors': expected at most 4, got '5'"),
        ("demo --films 2,1", "expected three numbers, TRAIN,VALIDATION,TEST"),
    ],
)
def test_options_that_do_not_fit_are_refused(draw, words, said, tmp_path) -> None:
    assert said in " ".join(draw(*words.split(), exit_code=2).stderr.split())
    assert not list(tmp_path.iterdir())
