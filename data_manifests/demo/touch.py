"""Films for `demo-touch`: a hand visits some of the objects on a table; which classes did it touch?

The classes on the table say nothing of which are touched, and the hand also stops beside objects.
"""

from __future__ import annotations

import numpy as np

from data_manifests.demo.dials import HEIGHT, TOUCHABLE, WIDTH, Dials
from data_manifests.demo.hands import HandPath, touring_hand
from data_manifests.demo.scene import Actor, Scene, hand_actor, still_actor

_NEAR_MISS_PIXELS = 25.0


def plan_touch_scene(dials: Dials, *, num_frames: int, rng: np.random.Generator) -> Scene:
    """A film of objects of different classes and a hand that stops on some of them, or beside."""
    actors: list[Actor] = []
    for name in rng.choice(TOUCHABLE[: dials.classes], size=dials.objects, replace=False):
        actors.append(still_actor(str(name), actors, num_frames, rng))
    touched, hand = _tour(actors, dials.stops, num_frames, rng)
    return Scene(
        actors=(*actors, hand_actor(hand, num_frames)),
        relations=(),
        touched=touched,
        render_seed=int(rng.integers(2**31)),
    )


def _tour(
    actors: list[Actor], most_stops: int, num_frames: int, rng: np.random.Generator
) -> tuple[tuple[int, ...], HandPath]:
    goals, touched = [], []
    for track in rng.permutation(len(actors))[: rng.integers(1, most_stops + 1)]:
        place_2 = actors[track].position_F2[0]
        if rng.random() < 0.7:
            goals.append(place_2)
            touched.append(int(track))
        else:
            goals.append(_beside(place_2, actors, rng))
    return tuple(sorted(touched)), touring_hand(goals, num_frames, rng)


def _beside(place_2: np.ndarray, actors: list[Actor], rng: np.random.Generator) -> np.ndarray:
    """A place near an object, of several tried the one that is farthest from touching any."""
    candidates = []
    for _ in range(12):
        angle = rng.uniform(0, 2 * np.pi)
        candidate_2 = place_2 + _NEAR_MISS_PIXELS * np.array([np.cos(angle), np.sin(angle)])
        candidates.append(np.clip(candidate_2, 8.0, (WIDTH - 8.0, HEIGHT - 8.0)))
    gaps = [
        min(float(np.hypot(*(actor.position_F2[0] - place))) for actor in actors)
        for place in candidates
    ]
    return candidates[int(np.argmax(gaps))]
