"""Plan films of `demo-both`, in which all objects change their places at the same time.

One of three identical-looking objects takes the former place of the next. The label states which
one, and the table's surface, which lies outside all masks; this requires both heads. All films show
the same classes, and each of the two arrangements is random, so that neither determines the label.
"""

import itertools
from functools import partial

import numpy as np

from orn.demo.world.parameters import ALIKE, HEIGHT, SURFACES, WIDTH, WorldParameters
from orn.demo.world.scene import Scene, standing_actor
from orn.demo.world.sprites import Actor, draw_sprite

BALL = "sports ball"
FRAMES = 8
"""Number of frames per film; all objects move between its halves."""

_MARGIN = 15.0
_MIN_DISTANCE = 27.0
"""Minimum distance in pixels between two objects in a frame, and between an object and a former
place that it does not take."""
_JITTER = 1.5
_ROWS = 3
"""Number of rows of the grid of places."""


def both_classes() -> tuple[str, ...]:
    """Return the labels of `demo-both`: a surface, and an object in the place of the next."""
    pairs = zip(ALIKE, (*ALIKE[1:], ALIKE[0]), strict=True)
    return tuple(
        f"{surface}: {taker} in the old place of {owner}"
        for surface, (taker, owner) in itertools.product(SURFACES, [*pairs])
    )


def plan_both_scene(label: int, *, parameters: WorldParameters, rng: np.random.Generator) -> Scene:
    """Plan a film with the label `both_classes()[label]`."""
    surface, taker = divmod(label, len(ALIKE))
    halves = arrange_alike(taker, parameters=parameters, rng=rng)
    return Scene(
        actors=_rearranged(halves, rng),
        render_seed=int(rng.integers(2**31)),
        label=both_classes()[label],
        surface=surface,
    )


def _rearranged(
    halves: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> tuple[Actor, ...]:
    """Return balls of different classes that move from one place to another in the middle."""
    position_NF2 = np.repeat(np.stack(halves, axis=1), [FRAMES // 2, FRAMES - FRAMES // 2], axis=1)
    return tuple(
        standing_actor(name, draw_sprite(BALL, rng), position_F2, 2.0 * number)
        for number, (name, position_F2) in enumerate(zip(ALIKE, position_NF2, strict=True))
    )


def arrange_alike(
    taker: int, *, parameters: WorldParameters, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return (3, 2) random places of three objects before and after, x and y in pixels.

    The object `taker` takes the former place of the next one; no other former place is taken.

    Args:
        taker: index in `parameters.ALIKE`.
        parameters: parameters of the world.
        rng: random generator of the film.
    """
    spread = partial(_spread_out, number=len(ALIKE), columns=parameters.columns, rng=rng)
    while True:
        before_N2 = spread([], avoid=[])
        if before_N2 is None:
            continue
        taken_2 = before_N2[(taker + 1) % len(ALIKE)]
        if not parameters.columns:
            taken_2 = taken_2 + rng.uniform(-_JITTER, _JITTER, 2)
        after_N2 = spread([taken_2], avoid=list(before_N2))
        if after_N2 is not None:
            return before_N2, np.roll(after_N2, taker, axis=0)


def _spread_out(
    places: list[np.ndarray],
    *,
    number: int,
    avoid: list[np.ndarray],
    columns: int,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """Add random places that keep their distance from each other and from `avoid`.

    Returns:
        The (number, 2) places, beginning with the given ones; None if they do not fit.
    """
    found = list(places)
    for _ in range(400):
        if len(found) == number:
            return np.array(found)
        place_2 = _place(columns, rng)
        if all(np.hypot(*(place_2 - other)) >= _MIN_DISTANCE for other in (*found, *avoid)):
            found.append(place_2)
    return np.array(found) if len(found) == number else None


def _place(columns: int, rng: np.random.Generator) -> np.ndarray:
    """Return x and y of a random place, on the grid if it has columns."""
    low_2, high_2 = np.full(2, _MARGIN), np.array([WIDTH - _MARGIN, HEIGHT - _MARGIN])
    if columns == 0:
        return rng.uniform(low_2, high_2)
    cell_2 = rng.integers((columns, _ROWS))
    return low_2 + (high_2 - low_2) * cell_2 / np.array([columns - 1, _ROWS - 1])
