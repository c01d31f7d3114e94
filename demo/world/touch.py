"""Plan films of `demo-touch`, in which a hand touches some of the objects on a table.

The labels are the touched classes. They are independent of the classes on the table, and the hand
also stops next to objects.
"""

from dataclasses import replace

import numpy as np

from orn.demo.world.hands import pulled_share, touring_hand
from orn.demo.world.parameters import HEIGHT, TOUCHABLE, WIDTH, WorldParameters
from orn.demo.world.scene import Scene, still_actor
from orn.demo.world.sprites import Actor

_NEAR_MISS_PIXELS = 25.0
_MARGIN = 13.0
_STILL = np.zeros(2)


def plan_touch_scene(
    parameters: WorldParameters, *, num_frames: int, rng: np.random.Generator
) -> Scene:
    """Plan a scene of objects of different classes and a hand that stops on or next to them."""
    actors: list[Actor] = []
    for name in rng.choice(TOUCHABLE[: parameters.classes], size=parameters.objects, replace=False):
        actors.append(still_actor(str(name), actors, num_frames, rng))
    goals: list[np.ndarray] = []
    pulls: list[np.ndarray] = []
    touched: dict[int, int] = {}  # index of the stop at each touched track
    for track in rng.permutation(len(actors))[: rng.integers(1, parameters.stops + 1)]:
        place_2 = actors[track].position_F2[0]
        if rng.random() < 0.7:
            touched[int(track)] = len(goals)
            goals.append(place_2)
            pulls.append(_pull(place_2, parameters.pull_pixels, rng))
        else:
            goals.append(_beside(place_2, actors, rng))
            pulls.append(_STILL)
    hand = touring_hand(np.stack(goals), np.stack(pulls), num_frames, rng)
    for track, stop in touched.items():
        share_F = pulled_share(stop, len(goals), num_frames)
        way_F2 = share_F[:, None] * pulls[stop]
        actors[track] = replace(actors[track], position_F2=actors[track].position_F2 + way_F2)
    return Scene(
        actors=(*actors, hand),
        touched=tuple(sorted(touched)),
        render_seed=int(rng.integers(2**31)),
    )


def _pull(place_2: np.ndarray, pixels: float, rng: np.random.Generator) -> np.ndarray:
    """Return an offset of the given length in a random direction that stays on the table."""
    if pixels == 0:
        return _STILL
    low_2, high_2 = np.full(2, _MARGIN), np.array([WIDTH, HEIGHT]) - _MARGIN
    while True:
        angle = rng.uniform(0, 2 * np.pi)
        way_2 = pixels * np.array([np.cos(angle), np.sin(angle)])
        if np.all((place_2 + way_2 >= low_2) & (place_2 + way_2 <= high_2)):
            return way_2


def _beside(place_2: np.ndarray, actors: list[Actor], rng: np.random.Generator) -> np.ndarray:
    """Return a place next to an object: the candidate that is farthest from all objects."""
    candidates = []
    for _ in range(12):
        angle = rng.uniform(0, 2 * np.pi)
        candidate_2 = place_2 + _NEAR_MISS_PIXELS * np.array([np.cos(angle), np.sin(angle)])
        candidates.append(np.clip(candidate_2, 8.0, (WIDTH - 8.0, HEIGHT - 8.0)))
    places_N2 = np.stack([actor.position_F2[0] for actor in actors])
    return max(candidates, key=lambda place_2: np.hypot(*(places_N2 - place_2).T).min())
