"""A film's cast says nothing of its label, and its ground truth is what was planned."""

import numpy as np
import pytest

from orn.demo.world.parameters import (
    ACTIVITIES,
    DECOY_X,
    DECOY_Y,
    DISTRACTORS,
    HAND,
    HEIGHT,
    ROLE_X,
    ROLE_Y,
    WIDTH,
    WorldParameters,
)
from orn.demo.world.render import render
from orn.demo.world.scene import PlannedActivity, Scene, plan_scene


def planned(activity: int) -> PlannedActivity:
    return PlannedActivity(activity=activity, start_frame=0, stop_frame=12)


def scene(activity: int, seed: int, *, decoy: int | None = None) -> Scene:
    return plan_scene(
        planned(activity),
        [None if decoy is None else planned(decoy)],
        parameters=WorldParameters(),
        num_frames=12,
        rng=np.random.default_rng(seed),
    )


@pytest.mark.parametrize(("activity", "decoy"), [(0, None), (7, 4), (11, 6)])
def test_every_film_has_the_same_cast(activity: int, decoy: int | None) -> None:
    objects = [a.class_name for a in scene(activity, 7, decoy=decoy).actors if a.class_name != HAND]
    for roles in (ROLE_X, ROLE_Y, DECOY_X, DECOY_Y, DISTRACTORS):
        assert sum(name in roles for name in objects) == 1
    assert len(objects) == 5


def test_relations_name_the_tracks_and_the_decoy() -> None:
    film = scene(0, 1, decoy=6)
    labelled, decoy = film.relations
    assert (labelled.activity, labelled.in_role) == (0, True)
    assert film.actors[labelled.x_track].class_name in ROLE_X
    assert film.actors[labelled.y_track].class_name in ROLE_Y
    assert (decoy.activity, decoy.in_role) == (6, False)
    assert film.actors[decoy.x_track].class_name in DECOY_X


@pytest.mark.parametrize("seed", range(2))
def test_objects_stay_in_the_picture(seed: int) -> None:
    for activity in range(len(ACTIVITIES)):
        for actor in scene(activity, seed, decoy=seed).actors:
            if actor.class_name != HAND:
                assert (actor.position_F2 > -2).all()
                assert (actor.position_F2 < (WIDTH + 2, HEIGHT + 2)).all()


def test_what_is_in_front_hides_what_is_behind() -> None:
    def least_visible(name: str) -> dict[int, float]:
        film = scene(ACTIVITIES.index(name), 2)
        shares: dict[int, float] = {}
        for frame in render(film, WorldParameters(noise=0.0, idle_hand_probability=0.0)):
            for track in (0, 1):
                visible = (frame.track_HW == track).sum() / frame.full_area[track]
                shares[track] = min(shares.get(track, 1.0), float(visible))
        return shares

    front, behind = least_visible("X passes in front of Y"), least_visible("X passes behind Y")
    assert front[0] == 1.0
    assert behind[0] < 0.5
    assert front[1] < behind[1]
