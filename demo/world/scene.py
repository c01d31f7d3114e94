"""Plan a scene: its objects, their motion, and the label.

Every film of a world has the same cast (the pair in role, decoy pairs, distractors), so that the
classes in a film do not determine its label.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from orn.demo.world.hands import acting_hand, idle_hand
from orn.demo.world.motion import BEHIND, FRONT, INSIDE, PairMotion, pair_motion
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
from orn.demo.world.sprites import Actor, Sprite, draw_sprite

_MARGIN = 13.0
_TRIES = 40
_IN_HAND = 50.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """The activity of a pair in the ground truth."""

    activity: int
    x_track: int
    y_track: int
    start_frame: int
    stop_frame: int
    in_role: bool
    """False for the decoy pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A planned scene; the index of an actor is its track id in the ground truth."""

    actors: tuple[Actor, ...]
    relations: tuple[Relation, ...] = ()
    render_seed: int
    """Seed for table, light, noise and camera, which do not affect the label."""
    label: str
    surface: int | None = None
    """Surface of the table, an index in `parameters.SURFACES`; None for a random one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedActivity:
    """An activity of a pair and its frames."""

    activity: int
    start_frame: int
    stop_frame: int


def random_activity(rng: np.random.Generator, num_frames: int) -> PlannedActivity:
    """Return an activity, drawn uniformly."""
    activity = int(rng.integers(len(ACTIVITIES)))
    return PlannedActivity(activity=activity, start_frame=0, stop_frame=num_frames)


def plan_scene(
    planned: PlannedActivity,
    decoys: Sequence[PlannedActivity | None],
    *,
    parameters: WorldParameters,
    num_frames: int,
    rng: np.random.Generator,
) -> Scene:
    """Plan a scene in which the pair in role performs an activity, and decoy pairs may as well.

    Args:
        planned: activity of the pair in role.
        decoys: activity of each decoy pair; None if it does not move.
        parameters: parameters of the world.
        num_frames: number of frames.
        rng: random generator of the film.
    """
    actors, relations = _pair(planned, (ROLE_X, ROLE_Y), [], num_frames, rng)
    for decoy in decoys:
        more, more_relations = _pair(decoy, (DECOY_X, DECOY_Y), actors, num_frames, rng)
        relations += [replace(relation, in_role=False) for relation in more_relations]
        actors += more
    still = [str(name) for name in rng.choice(DISTRACTORS, size=parameters.distractors)]
    for name in still + [actors[0].class_name] * parameters.look_alikes:
        actors.append(_still_actor(name, actors, num_frames, rng))
    if rng.random() < parameters.idle_hand_probability:
        actors.append(_idle_hand(actors, num_frames, rng))
    return Scene(
        actors=tuple(actors),
        relations=tuple(relations),
        render_seed=int(rng.integers(2**31)),
        label=ACTIVITIES[planned.activity],
    )


def phase_of_frames(
    planned: PlannedActivity, num_frames: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the (F,) phase of an activity in [0, 1], with a short rest at both ends."""
    span = planned.stop_frame - 1 - planned.start_frame
    start = planned.start_frame + rng.uniform(0.0, 0.12) * span
    stop = planned.stop_frame - 1 - rng.uniform(0.0, 0.12) * span
    return np.clip((np.arange(num_frames) - start) / max(stop - start, 1e-6), 0.0, 1.0)


def _pair(
    planned: PlannedActivity | None,
    roles: tuple[tuple[str, ...], tuple[str, ...]],
    others: list[Actor],
    num_frames: int,
    rng: np.random.Generator,
) -> tuple[list[Actor], list[Relation]]:
    """Return X, Y and, if the activity needs it, a hand; the track id of X is `len(others)`."""
    first = len(others)
    names = (str(rng.choice(roles[0])), str(rng.choice(roles[1])))
    if planned is None:
        still = _still_actor(names[0], others, num_frames, rng)
        return [still, _still_actor(names[1], [*others, still], num_frames, rng)], []
    sprites = (draw_sprite(names[0], rng), draw_sprite(names[1], rng))
    phase_F = phase_of_frames(planned, num_frames, rng)
    motion, center_2 = _fit(planned.activity, sprites, others, phase_F, rng)
    depth_y = float(2 * first)
    held_F = np.zeros(num_frames, bool) if motion.reach_F is None else motion.reach_F < 0.02
    depth_x_F = depth_y + np.select(
        [held_F, motion.layer_F == BEHIND, motion.layer_F == INSIDE, motion.layer_F == FRONT],
        [_IN_HAND, -0.5, 0.5, 1.5],
    )
    x = Actor(
        class_name=names[0], sprite=sprites[0], position_F2=motion.x_F2 + center_2,
        depth_F=depth_x_F, lift_F=motion.lift_F,
    )  # fmt: skip
    y = standing_actor(names[1], sprites[1], motion.y_F2 + center_2, depth_y)
    relation = Relation(
        activity=planned.activity,
        x_track=first,
        y_track=first + 1,
        start_frame=planned.start_frame,
        stop_frame=planned.stop_frame,
        in_role=True,
    )
    if motion.reach_F is None:
        return [x, y], [relation]
    hand = acting_hand(x.position_F2, motion.reach_F, rng)
    return [x, y, hand], [relation]


def standing_actor(name: str, sprite: Sprite, position_F2: np.ndarray, depth: float) -> Actor:
    """Return an object at the given positions."""
    depth_F = np.full(len(position_F2), depth)
    return Actor(class_name=name, sprite=sprite, position_F2=position_F2, depth_F=depth_F)


def _fit(
    activity: int,
    sprites: tuple[Sprite, Sprite],
    others: list[Actor],
    phase_F: np.ndarray,
    rng: np.random.Generator,
) -> tuple[PairMotion, np.ndarray]:
    """Return the best of several random motions and places: in view and clear of other objects."""
    radii = (sprites[0].radius, sprites[1].radius)

    def draw() -> tuple[float, tuple[PairMotion, np.ndarray]]:
        motion = pair_motion(activity, rng, phase_F=phase_F, radii=radii)
        whole = np.concatenate([motion.x_F2, motion.y_F2])
        low = np.array([_MARGIN, _MARGIN]) - whole.min(axis=0)
        high = np.array([WIDTH - _MARGIN, HEIGHT - _MARGIN]) - whole.max(axis=0)
        overflow = float(np.maximum(low - high, 0).sum())
        center_2 = np.where(low < high, rng.uniform(np.minimum(low, high), high), (low + high) / 2)
        score = -10.0 * overflow + min(
            _clearance(motion.x_F2 + center_2, radii[0], others),
            _clearance(motion.y_F2 + center_2, radii[1], others),
        )
        return score, (motion, center_2)

    return _best(draw, enough=4.0)


def _best(draw: Callable[[], tuple[float, T]], *, enough: float) -> T:
    """Return the first of several draws that scores `enough`, else the one that scores highest."""
    found = draw()
    for _ in range(_TRIES - 1):
        if found[0] >= enough:
            break
        found = max(found, draw(), key=lambda each: each[0])
    return found[1]


def _clearance(position_F2: np.ndarray, radius: float, others: list[Actor]) -> float:
    """Return the smallest distance in pixels to any other object, except hands, in any frame."""
    gaps = [
        float(np.hypot(*(position_F2 - other.position_F2).T).min()) - radius - other.sprite.radius
        for other in others
        if other.sprite.radius > 0
    ]
    return min(gaps, default=100.0)


def _still_actor(
    name: str, others: list[Actor], num_frames: int, rng: np.random.Generator
) -> Actor:
    """Return a stationary object, clear of other objects; it is painted over them."""
    sprite = draw_sprite(name, rng)

    def draw() -> tuple[float, np.ndarray]:
        place_2 = rng.uniform((_MARGIN, _MARGIN), (WIDTH - _MARGIN, HEIGHT - _MARGIN))
        position_F2 = np.repeat(place_2[None], num_frames, axis=0)
        return _clearance(position_F2, sprite.radius, others), position_F2

    return standing_actor(name, sprite, _best(draw, enough=3.0), 2.0 * len(others))


def _idle_hand(actors: list[Actor], num_frames: int, rng: np.random.Generator) -> Actor:
    """Return a hand that arrives, leaves or stays.

    With a probability of one half, it touches an object that does not move.
    """
    resting = [
        track
        for track, actor in enumerate(actors)
        if actor.class_name != HAND and np.ptp(actor.position_F2, axis=0).max() < 1.0
    ]
    target = int(rng.choice(resting)) if resting and rng.random() < 0.5 else None
    if target is not None:
        goal_2 = actors[target].position_F2[0]
    else:
        goal_2 = rng.uniform((20.0, 20.0), (WIDTH - 20.0, HEIGHT - 20.0))
        gaps = [np.hypot(*(actor.position_F2 - goal_2).T).min() for actor in actors]
        if min(gaps) < 22.0:
            goal_2 = np.array([rng.uniform(10.0, WIDTH - 10.0), HEIGHT - 4.0])
    return idle_hand(goal_2, num_frames, rng)
