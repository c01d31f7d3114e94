"""Each parameter changes what its name says and nothing else; the default world stays the same."""

import json
from functools import partial

import numpy as np
import pytest

from orn.demo.world import make as world
from orn.demo.world.parameters import (
    DECOY_X,
    DECOY_Y,
    ROLE_X,
    ROLE_Y,
    WorldParameters,
)
from orn.demo.world.render_film import render
from orn.demo.world.scene import Scene

DEFAULT_WORLD = {
    "demo": ([931774309, 1023765162, 394478779], [120.702, 111.127, 125.682]),
    "demo-both": ([579646318, 1521800137, 360461629], [134.095, 147.565, 125.107]),
}
"""The last number drawn for each of the first three films, and the mean color of the first frame
of the first one."""


def scenes(dataset: str = "demo", number: int = 4, **parameters) -> list[Scene]:
    rngs = [world.film_rng(0, dataset, "train", film) for film in range(number)]
    return [world.plan_film(dataset, WorldParameters(**parameters), rng) for rng in rngs]


def objects(scene: Scene, classes: tuple[str, ...]) -> list[str]:
    return [actor.class_name for actor in scene.actors if actor.class_name in classes]


@pytest.mark.parametrize("dataset", DEFAULT_WORLD)
def test_the_default_world_is_what_it_was(dataset) -> None:
    seeds, color = DEFAULT_WORLD[dataset]
    planned = scenes(dataset, 3)
    assert [scene.render_seed for scene in planned] == seeds
    image = next(render(planned[0], WorldParameters())).image
    np.testing.assert_allclose(image.mean(axis=(0, 1)), color, atol=0.01)


@pytest.mark.parametrize("pairs", [0, 1, 3])
def test_decoy_pairs_are_counted(pairs) -> None:
    for scene in scenes(decoy_pairs=pairs, decoy_probability=1.0):
        assert len(objects(scene, DECOY_X)) == len(objects(scene, DECOY_Y)) == pairs
        assert len(objects(scene, ROLE_X)) == len(objects(scene, ROLE_Y)) == 1
        assert [relation.in_role for relation in scene.relations] == [True] + [False] * pairs


def test_look_alikes_are_of_the_class_of_x_and_lie_still() -> None:
    for scene in scenes(look_alikes=2):
        relation = next(relation for relation in scene.relations if relation.in_role)
        x = scene.actors[relation.x_track]
        alike = [actor for actor in scene.actors if actor.class_name == x.class_name]
        assert len(alike) == 3
        moving = [actor for actor in alike if np.ptp(actor.position_F2, axis=0).max() > 0]
        assert moving == [x]
        assert len(objects(scene, ROLE_Y)) == 1


def test_parameters_of_other_data_sets_leave_a_film_alone() -> None:
    turned = scenes("demo-both", 2, decoy_pairs=3, distractors=4, look_alikes=2)
    assert [s.render_seed for s in turned] == DEFAULT_WORLD["demo-both"][0][:2]


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
