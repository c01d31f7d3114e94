"""What the scenes of a film are in each data set of the demo world."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from demo.world.dials import Dials
from demo.world.places import place_classes, plan_places_scene
from demo.world.scene import PlannedActivity, Scene, plan_scene, random_activity
from demo.world.touch import plan_touch_scene

_CHAPTERS = 6
_CHAPTER_FRAMES = 28
_TOUCH_FRAMES = 16


def _plan_demo(dials: Dials, rng: np.random.Generator) -> list[Scene]:
    whole = {"start_frame": 0, "stop_frame": dials.frames}
    planned = PlannedActivity(activity=random_activity(rng), **whole)
    decoys: list[PlannedActivity | None] = []
    for _ in range(dials.decoy_pairs):
        decoy = PlannedActivity(activity=random_activity(rng), **whole)
        decoys.append(decoy if rng.random() < dials.decoy_probability else None)
    return [plan_scene(planned, decoys, dials=dials, num_frames=dials.frames, rng=rng)]


def _plan_touch(dials: Dials, rng: np.random.Generator) -> list[Scene]:
    return [plan_touch_scene(dials, num_frames=_TOUCH_FRAMES, rng=rng)]


def _plan_long(dials: Dials, rng: np.random.Generator) -> list[Scene]:
    """Chapters with a cut between them; in each, two activities whose segments overlap."""
    scenes = []
    for _ in range(_CHAPTERS):
        first = PlannedActivity(activity=random_activity(rng), start_frame=0, stop_frame=16)
        second = PlannedActivity(
            activity=random_activity(rng), start_frame=11, stop_frame=_CHAPTER_FRAMES
        )
        scenes.append(
            plan_scene(
                first,
                [second],
                dials=dials,
                num_frames=_CHAPTER_FRAMES,
                rng=rng,
                others_in_role=True,
            )
        )
    return scenes


def _plan_places(dials: Dials, rng: np.random.Generator) -> list[Scene]:
    return [plan_places_scene(int(rng.integers(len(place_classes(dials)))), dials=dials, rng=rng)]


PLANNERS: dict[str, Callable[[Dials, np.random.Generator], list[Scene]]] = {
    "demo": _plan_demo,
    "demo-touch": _plan_touch,
    "demo-long": _plan_long,
    "demo-places": _plan_places,
    "demo-classes": _plan_touch,
}
"""Plans a film of each data set; the same dials and random numbers give the same film."""
