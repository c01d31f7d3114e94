"""Films in which all on a table is put elsewhere at once: who stands in whose old place?

Either arrangement alone is random and says nothing; which classes are there is always the same.

- `demo-places`: a ball may stand where an object of another class stood before. The label can be
  told only from two objects of two different frames.
- `demo-both`: three objects that look alike; one takes the old place of the next. The label names
  both and the table's surface, which is in no mask, so that neither head can tell it alone.
"""

import itertools
from collections.abc import Sequence
from functools import partial

import numpy as np

from orn.demo.world.dials import ALIKE, HEIGHT, ROLE_Y, SURFACES, WIDTH, Dials
from orn.demo.world.scene import Scene, standing_actor
from orn.demo.world.sprites import Actor, draw_sprite

NOBODY = "none"
"""Label of a film in which no ball takes an old place."""
BALL = "sports ball"
FRAMES = 8
"""Of a film; everything moves between the first and the second half."""

_MARGIN = 15.0
_APART = 27.0
"""Pixels between two objects of a frame, and between a ball and old places that are not meant."""
_JITTER = 1.5
_ROWS = 3
"""Of the grid of places, if there is one."""
_CHANCE = 100 / len(ALIKE)
BOTH_CEILINGS = {
    "surface alone (activity head)": _CHANCE,
    "classes and places of both frames (object head)": 100 / len(SURFACES),
    "surface, classes and places of both frames": 100.0,
    "surface, classes and places of one frame": _CHANCE,
    "surface, and places of both frames without classes": _CHANCE,
    "surface, and places of each object without its class": _CHANCE,
}
"""The most that can be right of `demo-both`, in percent, by what is seen of two frames (Bayes'
rule); the tests count it over all films of a grid."""


def place_classes(dials: Dials) -> tuple[str, ...]:
    """Labels: whose old place a ball takes."""
    return (*ROLE_Y[: dials.owners], NOBODY)


def plan_places_scene(label: int, *, dials: Dials, rng: np.random.Generator) -> Scene:
    """A film in which a ball takes the old place of the object of class
    `place_classes(dials)[label]`."""
    names = [*ROLE_Y[: dials.owners], *[BALL] * dials.balls]
    halves = arrange(label, dials=dials, rng=rng)
    return Scene(
        actors=_rearranged(names, names, halves, rng),
        render_seed=int(rng.integers(2**31)),
        label=place_classes(dials)[label],
    )


def both_classes() -> tuple[str, ...]:
    """Labels of `demo-both`: each surface with each of three objects in the next one's place."""
    pairs = zip(ALIKE, (*ALIKE[1:], ALIKE[0]), strict=True)
    return tuple(
        both_label(surface, taker, owner)
        for surface, (taker, owner) in itertools.product(SURFACES, [*pairs])
    )


def both_label(surface: str, taker: str, owner: str) -> str:
    """The label of `demo-both` of a film in which one object takes the old place of another."""
    return f"{surface}: {taker} in the old place of {owner}"


def plan_both_scene(label: int, *, dials: Dials, rng: np.random.Generator) -> Scene:
    """A film with the label `both_classes()[label]`."""
    surface, taker = divmod(label, len(ALIKE))
    halves = arrange_alike(taker, dials=dials, rng=rng)
    return Scene(
        actors=_rearranged(ALIKE, [BALL] * len(ALIKE), halves, rng),
        render_seed=int(rng.integers(2**31)),
        label=both_classes()[label],
        surface=surface,
    )


def _rearranged(
    names: Sequence[str],
    looks: Sequence[str],
    halves: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> tuple[Actor, ...]:
    """Objects that stand in the first half of a film in their first place, then in the other."""
    position_NF2 = np.repeat(np.stack(halves, axis=1), [FRAMES // 2, FRAMES - FRAMES // 2], axis=1)
    return tuple(
        standing_actor(name, draw_sprite(look, rng), position_F2, 2.0 * number)
        for number, (name, look, position_F2) in enumerate(
            zip(names, looks, position_NF2, strict=True)
        )
    )


def arrange_alike(
    taker: int, *, dials: Dials, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(3, 2) random places, x and y in pixels, of three objects before and after; the object
    `taker` has the old place of the next one, and no other old place is taken.

    Args:
        taker: Place in `dials.ALIKE`.
        dials: Whether the places are those of a grid.
        rng: Random numbers of the film.
    """
    spread = partial(_spread_out, number=len(ALIKE), columns=dials.columns, rng=rng)
    while True:
        before_N2 = spread([], avoid=[])
        if before_N2 is None:
            continue
        taken_2 = before_N2[(taker + 1) % len(ALIKE)]
        if not dials.columns:
            taken_2 = taken_2 + rng.uniform(-_JITTER, _JITTER, 2)
        after_N2 = spread([taken_2], avoid=list(before_N2))
        if after_N2 is not None:
            return before_N2, np.roll(after_N2, taker, axis=0)


def arrange(label: int, *, dials: Dials, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) random places, x and y in pixels, of the owners and then the balls before and after;
    those of the balls avoid the old places of other classes but for the one that the label names.

    Args:
        label: Place in `place_classes`.
        dials: How many owners and balls there are, and whether they stand on a grid.
        rng: Random numbers of the film.
    """
    num_owners, num_balls = dials.owners, dials.balls
    spread = partial(_spread_out, columns=dials.columns, rng=rng)
    while True:
        before_N2 = spread([], number=num_owners + num_balls, avoid=[])
        if before_N2 is None:
            continue
        old = list(before_N2[:num_owners])
        taken = []
        if label < num_owners:
            # Exactly, on a grid: a ball beside its grid point would tell that a place was taken.
            taken = [old[label] + (0 if dials.columns else rng.uniform(-_JITTER, _JITTER, 2))]
        balls_N2 = spread(taken, number=num_balls, avoid=old)
        if balls_N2 is None:
            continue
        all_N2 = spread(list(balls_N2), number=num_owners + num_balls, avoid=[])
        if all_N2 is None:
            continue
        order = rng.permutation(num_balls)
        after_N2 = np.concatenate([all_N2[num_balls:], balls_N2[order]])
        return before_N2, after_N2


def _spread_out(
    places: list[np.ndarray],
    *,
    number: int,
    avoid: list[np.ndarray],
    columns: int,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """(number, 2) the places given and random ones beside them, all apart from each other, the new
    ones also from `avoid`; None if they do not fit."""
    found = list(places)
    for _ in range(400):
        if len(found) == number:
            return np.array(found)
        place_2 = _place(columns, rng)
        if all(np.hypot(*(place_2 - other)) >= _APART for other in (*found, *avoid)):
            found.append(place_2)
    return np.array(found) if len(found) == number else None


def _place(columns: int, rng: np.random.Generator) -> np.ndarray:
    """x and y of a random place: of the grid if it has columns, else anywhere."""
    low_2, high_2 = np.full(2, _MARGIN), np.array([WIDTH - _MARGIN, HEIGHT - _MARGIN])
    if columns == 0:
        return rng.uniform(low_2, high_2)
    cell_2 = rng.integers((columns, _ROWS))
    return low_2 + (high_2 - low_2) * cell_2 / np.array([columns - 1, _ROWS - 1])
