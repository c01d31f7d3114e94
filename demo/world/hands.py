"""Plan the motion of hands and the direction of their arms."""

import numpy as np

from orn.demo.world.motion import ease
from orn.demo.world.parameters import HAND
from orn.demo.world.sprites import Actor, hand_sprite

_OUT_OF_VIEW = 170.0
"""Distance in pixels along the arm at which a hand is always out of view."""

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


def _hand(tip_F2: np.ndarray, arm_angle: float, rng: np.random.Generator) -> Actor:
    sprite = hand_sprite(np.random.default_rng(int(rng.integers(2**31))), angle=arm_angle)
    depth_F = np.full(len(tip_F2), _DEPTH)
    return Actor(class_name=HAND, sprite=sprite, position_F2=tip_F2, depth_F=depth_F)


def _arm_direction(rng: np.random.Generator) -> tuple[float, np.ndarray]:
    arm_angle = float(np.pi / 2 + rng.uniform(-0.9, 0.9))
    return arm_angle, np.array([np.cos(arm_angle), np.sin(arm_angle)])
