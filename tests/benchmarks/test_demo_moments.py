"""Whether a frame shows what a demo film's label depends on."""

import numpy as np
import pytest

from benchmarks.demo_moments import crossing_frames, touch_frames
from demo.world.dials import Dials
from demo.world.films import FilmTruth
from demo.world.make import film_rng, plan_film

X, Y = 0, 1


def _annotation(track: int, x: float, *, area: int) -> dict:
    return {"track_id": track, "bbox": [x, 0.0, 10.0, 10.0], "area": area}


def _film(name: str, frames: list[list[dict]]) -> FilmTruth:
    relations = [
        {"name": "pick up X", "x_track": 7, "y_track": 8, "in_role": False},
        {"name": name, "x_track": X, "y_track": Y, "in_role": True},
    ]
    return FilmTruth(video_id="film", relations=relations, frames=frames, touched=[])


FRAMES = [
    [_annotation(X, 0, area=80), _annotation(Y, 40, area=100)],  # apart
    [_annotation(X, 35, area=80), _annotation(Y, 40, area=95)],  # a twentieth of Y hidden
    [_annotation(X, 38, area=80), _annotation(Y, 40, area=85)],
    [_annotation(X, 40, area=80)],  # Y not to be seen
    [_annotation(X, 80, area=40), _annotation(Y, 40, area=85)],  # hidden by something else
]


def test_a_crossing_shows_where_a_tenth_of_what_is_behind_is_hidden() -> None:
    name, shown = crossing_frames(_film("X passes in front of Y", FRAMES))
    assert name == "X passes in front of Y"
    assert shown == [False, False, True, True, False]


def test_behind_it_is_x_that_is_hidden() -> None:
    frames = [FRAMES[0], FRAMES[1], [_annotation(X, 38, area=70), _annotation(Y, 40, area=100)]]
    assert crossing_frames(_film("X passes behind Y", frames)) == (
        "X passes behind Y",
        [False, False, True],
    )


def test_other_activities_have_no_crossing() -> None:
    assert crossing_frames(_film("X circles Y", FRAMES)) is None


@pytest.mark.parametrize("stops", [1, 3])
def test_a_touch_is_seen_while_the_hand_rests(stops) -> None:
    for film in range(20):
        rng = film_rng(0, "demo-touch", "train", film)
        (scene,) = plan_film("demo-touch", Dials(stops=stops), rng)
        moments = touch_frames(scene)
        assert len(moments) == len(scene.touched)
        for moment in moments:
            seen = np.flatnonzero(moment)
            assert 1 <= len(seen) < len(moment)
            assert not moment[0]  # the hand begins outside
            assert not moment[-1]
