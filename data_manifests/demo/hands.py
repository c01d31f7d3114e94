"""Hands: where a hand's tip is in every frame, and the direction its arm comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_OUT_OF_VIEW = 170.0
"""How far along its arm a hand withdraws to be out of the picture from anywhere, in pixels."""

_GRASP = 7.0
"""Distance from a held object's centre to the hand's, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandPath:
    """A hand's way through a film."""

    tip_F2: np.ndarray
    """(F, 2) x and y of the hand in pixels of the table."""
    arm_angle: float
    """Direction from the hand along the arm, radians, 0 to the right, clockwise on the screen."""
    sprite_seed: int
    """Seed of its drawing."""


def acting_hand(held_F2: np.ndarray, reach_F: np.ndarray, rng: np.random.Generator) -> HandPath:
    """A hand on the object where `reach_F` is 0, withdrawn along its arm where it is more."""
    return _withdrawn(held_F2, reach_F, rng)


def idle_hand(goal_2: np.ndarray, num_frames: int, rng: np.random.Generator) -> HandPath:
    """A hand that comes to `goal_2` and stays, lies there and leaves, or comes and leaves."""
    time_F = np.linspace(0.0, 1.0, num_frames)
    kind = rng.integers(3)
    turn = rng.uniform(0.3, 0.6)
    coming_F = np.clip(1.0 - time_F / turn, 0.0, 1.0)
    leaving_F = np.clip((time_F - turn) / (1.0 - turn), 0.0, 1.0)
    if kind == 0:
        reach_F = coming_F
    elif kind == 1:
        reach_F = leaving_F
    else:
        reach_F = np.maximum(np.clip(1.0 - 1.2 * time_F / turn, 0, 1), leaving_F)
    reach_F = reach_F * reach_F * (3.0 - 2.0 * reach_F)
    return _withdrawn(np.repeat(goal_2[None], num_frames, axis=0), reach_F, rng)


def touring_hand(goals: list[np.ndarray], num_frames: int, rng: np.random.Generator) -> HandPath:
    """A hand that comes in, stops at each goal for a while, and leaves."""
    time_F = np.linspace(0.0, len(goals) + 1.0, num_frames)
    arm_angle, along_2 = _arm_direction(rng)
    stops = [goal_2 + along_2 * _GRASP for goal_2 in goals]
    outside = along_2 * _OUT_OF_VIEW
    stations = np.stack([stops[0] + outside, *stops, stops[-1] + outside])
    leg_F = np.clip(np.floor(time_F).astype(int), 0, len(goals))
    part_F = np.clip((time_F - leg_F) / 0.55, 0.0, 1.0)[:, None]
    part_F = part_F * part_F * (3.0 - 2.0 * part_F)
    return HandPath(
        tip_F2=stations[leg_F] * (1 - part_F) + stations[leg_F + 1] * part_F,
        arm_angle=arm_angle,
        sprite_seed=int(rng.integers(2**31)),
    )


def _arm_direction(rng: np.random.Generator) -> tuple[float, np.ndarray]:
    arm_angle = float(np.pi / 2 + rng.uniform(-0.9, 0.9))
    return arm_angle, np.array([np.cos(arm_angle), np.sin(arm_angle)])


def _withdrawn(goal_F2: np.ndarray, reach_F: np.ndarray, rng: np.random.Generator) -> HandPath:
    arm_angle, along_2 = _arm_direction(rng)
    return HandPath(
        tip_F2=goal_F2 + along_2 * _GRASP + reach_F[:, None] * along_2 * _OUT_OF_VIEW,
        arm_angle=arm_angle,
        sprite_seed=int(rng.integers(2**31)),
    )
