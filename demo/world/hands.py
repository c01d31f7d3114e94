"""Plan the motion of hands and the direction of their arms."""

import numpy as np

from orn.demo.world.motion import ease
from orn.demo.world.parameters import HAND
from orn.demo.world.sprites import Actor, hand_sprite

_OUT_OF_VIEW = 170.0
"""Distance in pixels along the arm at which a hand is always out of view."""

_ON_THE_WAY = 0.55
"""Fraction of a leg in which a hand moves to its next stop; then it rests or pulls."""

_GRASP = 7.0
"""Distance in pixels between the centers of a held object and the hand."""

_DEPTH = 60.0
"""Depth of a hand, in front of all objects."""


def acting_hand(held_F2: np.ndarray, reach_F: np.ndarray, rng: np.random.Generator) -> Actor:
    """Return a hand that is on an object where `reach_F` is 0, and withdrawn where it is larger."""
    arm_angle, along_2 = _arm_direction(rng)
    tip_F2 = held_F2 + along_2 * _GRASP + reach_F[:, None] * along_2 * _OUT_OF_VIEW
    return _hand(tip_F2, arm_angle, rng)


def idle_hand(goal_2: np.ndarray, num_frames: int, rng: np.random.Generator) -> Actor:
    """Return a hand that arrives at a place and stays, leaves it, or arrives and leaves."""
    time_F = np.linspace(0.0, 1.0, num_frames)
    kind = int(rng.integers(3))
    turn = rng.uniform(0.3, 0.6)
    coming_F = np.clip(1.0 - time_F / turn, 0.0, 1.0)
    leaving_F = np.clip((time_F - turn) / (1.0 - turn), 0.0, 1.0)
    both_F = np.maximum(np.clip(1.0 - 1.2 * time_F / turn, 0, 1), leaving_F)
    reach_F = ease((coming_F, leaving_F, both_F)[kind], 0.0, 1.0)
    return acting_hand(np.repeat(goal_2[None], num_frames, axis=0), reach_F, rng)


def touring_hand(
    goals_S2: np.ndarray, pulls_S2: np.ndarray, num_frames: int, rng: np.random.Generator
) -> Actor:
    """Return a hand that enters, stops at each goal, and leaves.

    Args:
        goals_S2: (S, 2) x and y of the stops in pixels.
        pulls_S2: (S, 2) offsets in pixels by which it pulls an object; zeros for no pull.
        num_frames: number of frames.
        rng: random generator of the film.
    """
    arm_angle, along_2 = _arm_direction(rng)
    goals_S2 = goals_S2 + along_2 * _GRASP
    left_S2 = goals_S2 + pulls_S2
    outside = along_2 * _OUT_OF_VIEW
    from_L2 = np.concatenate([goals_S2[:1] + outside, left_S2])
    to_L2 = np.concatenate([goals_S2, left_S2[-1:] + outside])
    pull_L2 = np.concatenate([left_S2 - goals_S2, np.zeros((1, 2))])
    leg_F, into_F = _legs(len(goals_S2), num_frames)
    part_F = ease(into_F, 0.0, _ON_THE_WAY)[:, None]
    tip_F2 = from_L2[leg_F] * (1 - part_F) + to_L2[leg_F] * part_F
    return _hand(tip_F2 + pull_L2[leg_F] * _pulled(into_F)[:, None], arm_angle, rng)


def pulled_share(stop: int, num_stops: int, num_frames: int) -> np.ndarray:
    """Return the (F,) completed fraction, 0..1, of a touring hand's pull at one of its stops."""
    leg_F, into_F = _legs(num_stops, num_frames)
    return np.where(leg_F == stop, _pulled(into_F), (leg_F > stop).astype(np.float64))


def _hand(tip_F2: np.ndarray, arm_angle: float, rng: np.random.Generator) -> Actor:
    sprite = hand_sprite(np.random.default_rng(int(rng.integers(2**31))), angle=arm_angle)
    depth_F = np.full(len(tip_F2), _DEPTH)
    return Actor(class_name=HAND, sprite=sprite, position_F2=tip_F2, depth_F=depth_F)


def _legs(num_stops: int, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the (F,) index of the leg of a tour, and the (F,) completed fraction of the leg."""
    time_F = np.linspace(0.0, num_stops + 1.0, num_frames)
    leg_F = np.clip(np.floor(time_F).astype(int), 0, num_stops)
    return leg_F, time_F - leg_F


def _pulled(into_F: np.ndarray) -> np.ndarray:
    return ease(into_F, _ON_THE_WAY, 1.0)


def _arm_direction(rng: np.random.Generator) -> tuple[float, np.ndarray]:
    arm_angle = float(np.pi / 2 + rng.uniform(-0.9, 0.9))
    return arm_angle, np.array([np.cos(arm_angle), np.sin(arm_angle)])
