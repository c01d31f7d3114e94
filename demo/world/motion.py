"""The motion of a pair of objects in each of the twelve activities.

Axes: F frames. Positions are (x, y) in pixels, relative to the center of the pair, y downwards. The
phase of an activity runs from 0 to 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BEHIND, INSIDE, FRONT = -1, 0, 1
"""Depth of X relative to Y: behind Y, between its back and front, or in front of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairMotion:
    """Positions of X and Y in each frame, and the reach of the hand that holds X."""

    x_F2: np.ndarray
    y_F2: np.ndarray
    layer_F: np.ndarray
    """int, one of BEHIND, INSIDE, FRONT."""
    lift_F: np.ndarray
    """0 on the table, 1 held up, where X is larger and farther from its shadow."""
    reach_F: np.ndarray | None
    """Distance of the hand: 0 on X, 1 out of view; None for an activity without a hand."""


def ease(phase_F: np.ndarray, start: float, stop: float) -> np.ndarray:
    """Return (F,) values that rise smoothly from 0 at the phase `start` to 1 at `stop`."""
    part_F = np.clip((phase_F - start) / (stop - start), 0.0, 1.0)
    return part_F * part_F * (3.0 - 2.0 * part_F)


def _between(weight_F: np.ndarray, start_2: np.ndarray, stop_2: np.ndarray) -> np.ndarray:
    return start_2 + weight_F[:, None] * (stop_2 - start_2)


def _pair(
    x_F2: np.ndarray,
    y_F2: np.ndarray | None = None,
    *,
    layer_F: np.ndarray | None = None,
    lift_F: np.ndarray | None = None,
    reach_F: np.ndarray | None = None,
) -> PairMotion:
    num_frames = len(x_F2)
    return PairMotion(
        x_F2=x_F2,
        y_F2=np.zeros_like(x_F2) if y_F2 is None else y_F2,
        layer_F=np.full(num_frames, FRONT) if layer_F is None else layer_F,
        lift_F=np.zeros(num_frames) if lift_F is None else lift_F,
        reach_F=reach_F,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Geometry:
    """Random direction of an activity, and its distances and sizes in pixels."""

    direction_2: np.ndarray
    far: float
    radius_x: float
    radius_y: float
    turn: float

    @property
    def contact(self) -> float:
        return 0.85 * (self.radius_x + self.radius_y)

    @property
    def across_2(self) -> np.ndarray:
        return np.array([-self.direction_2[1], self.direction_2[0]]) * self.turn


def _put_into(phase_F: np.ndarray, g: _Geometry) -> PairMotion:
    start_2 = g.direction_2 * g.far
    above_2 = np.array([0.0, -(g.radius_y + 0.7 * g.radius_x)])
    inside_2 = np.array([0.0, -0.35 * g.radius_y])
    x_F2 = _between(ease(phase_F, 0.0, 0.6), start_2, above_2)
    x_F2 = x_F2 + ease(phase_F, 0.6, 1.0)[:, None] * (inside_2 - above_2)
    return _pair(x_F2, layer_F=np.where(phase_F > 0.55, INSIDE, FRONT))


def _towards(phase_F: np.ndarray, g: _Geometry) -> PairMotion:
    near_2 = g.direction_2 * (g.contact + 10.0)
    return _pair(_between(ease(phase_F, 0.0, 1.0), g.direction_2 * (g.far + 8.0), near_2))


def _push(phase_F: np.ndarray, g: _Geometry) -> PairMotion:
    start_2, contact_2 = g.direction_2 * g.far, g.direction_2 * g.contact
    approach_F2 = _between(ease(phase_F, 0.0, 0.5), start_2, contact_2)
    pushed_F2 = ease(phase_F, 0.45, 1.0)[:, None] * (-g.direction_2 * (0.6 * g.far))
    return _pair(approach_F2 + pushed_F2, pushed_F2)


def _touch(phase_F: np.ndarray, g: _Geometry) -> PairMotion:
    there_F = ease(phase_F, 0.0, 0.5) - 0.75 * ease(phase_F, 0.55, 1.0)
    return _pair(_between(there_F, g.direction_2 * g.far, g.direction_2 * g.contact))


def _pick_up(phase_F: np.ndarray, g: _Geometry) -> PairMotion:
    lift_F = ease(phase_F, 0.5, 1.0)
    rest_2 = g.direction_2 * g.far
    x_F2 = rest_2 + lift_F[:, None] * np.array([8.0 * g.turn, -26.0])
    return _pair(x_F2, lift_F=lift_F, reach_F=1.0 - ease(phase_F, 0.0, 0.45))


def _pass(phase_F: np.ndarray, g: _Geometry, layer: int) -> PairMotion:
    start_2 = g.direction_2 * (0.85 * g.far)
    x_F2 = _between(ease(phase_F, 0.0, 1.0), start_2, -start_2)
    return _pair(x_F2, layer_F=np.full(len(phase_F), layer))


def _swap(phase_F: np.ndarray, g: _Geometry) -> PairMotion:
    half_2 = g.direction_2 * (0.5 * g.far)
    bulge_F2 = np.sin(np.pi * ease(phase_F, 0.0, 1.0))[:, None] * g.across_2 * 0.75 * g.contact
    x_F2 = _between(ease(phase_F, 0.0, 1.0), half_2, -half_2) + bulge_F2
    return _pair(x_F2, -x_F2)


def _circle(phase_F: np.ndarray, g: _Geometry) -> PairMotion:
    start = np.arctan2(g.direction_2[1], g.direction_2[0])
    angle_F = start + g.turn * ease(phase_F, 0.0, 1.0) * 1.8 * np.pi
    return _pair((g.contact + 7.0) * np.stack([np.cos(angle_F), np.sin(angle_F)], axis=1))


_FORWARD: tuple[Callable[[np.ndarray, _Geometry], PairMotion], ...] = (
    _put_into,
    lambda phase_F, g: _put_into(1.0 - phase_F, g),
    _towards,
    lambda phase_F, g: _towards(1.0 - phase_F, g),
    _push,
    _touch,
    _pick_up,
    lambda phase_F, g: _pick_up(1.0 - phase_F, g),
    lambda phase_F, g: _pass(phase_F, g, FRONT),
    lambda phase_F, g: _pass(phase_F, g, BEHIND),
    _swap,
    _circle,
)


def pair_motion(
    activity: int, rng: np.random.Generator, *, phase_F: np.ndarray, radii: tuple[float, float]
) -> PairMotion:
    """Return the motion of a pair with a random direction, distance and sense of rotation.

    Args:
        activity: index in `parameters.ACTIVITIES`. Taking out, moving away and putting down are
            putting in, moving towards and picking up, reversed in time.
        rng: random generator of the film.
        phase_F: (F,) phase of the activity in each frame, in [0, 1].
        radii: radii of X and Y in pixels.
    """
    angle = rng.uniform(0.0, 2.0 * np.pi)
    direction_2 = np.array([np.cos(angle), 0.6 * np.sin(angle)])  # frames are wider than high
    geometry = _Geometry(
        direction_2=direction_2 / np.hypot(*direction_2),
        far=rng.uniform(46.0, 60.0),
        radius_x=radii[0],
        radius_y=radii[1],
        turn=float(rng.choice((-1.0, 1.0))),
    )
    return _FORWARD[activity](phase_F, geometry)
