"""Reads the label of each demo film from its ground truth, by the rule that the label stands for.

It looks at classes, tracks, relations and touches, never at the label itself. If it does not agree
with the label table, the world is not well defined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from demo.world.dials import ROLE_X, ROLE_Y, category_id
from demo.world.films import TrueFilm
from demo.world.places import BALL, FRAMES, NOBODY

__all__ = ["oracle_labels"]

_SAME_PLACE_PIXELS = 15.0
"""Between the middles of what is seen of two objects before and after everything moved: more than
the camera's drift, a ball's jitter and shapes make; less than two places are apart."""


def oracle_labels(dataset: str, film: TrueFilm) -> tuple[str, ...]:
    """The names of the classes that hold of a film of demo, demo-touch or demo-places."""
    return _ORACLES[dataset](film)


def _activity(film: TrueFilm) -> tuple[str, ...]:
    """What an object of a class of X does to one of a class of Y."""
    category_of = {a["track_id"]: a["category_id"] for frame in film.frames for a in frame}
    xs, ys = ({category_id(name) for name in role} for role in (ROLE_X, ROLE_Y))
    return tuple(
        relation["name"]
        for relation in film.video["relations"]
        if category_of.get(relation["x_track"]) in xs and category_of.get(relation["y_track"]) in ys
    )


def _touched(film: TrueFilm) -> tuple[str, ...]:
    return tuple(film.video["touched"])


def _place(film: TrueFilm) -> tuple[str, ...]:
    """Whose place of the last frame before the change a ball has in the first frame after it."""
    before, after = film.frames[FRAMES // 2 - 1], film.frames[FRAMES // 2]
    balls_N2 = np.array([_middle(a) for a in after if a["category_id"] == category_id(BALL)])
    taken = []
    for name in ROLE_Y:
        for annotation in before:
            if annotation["category_id"] == category_id(name):
                gap_N = np.hypot(*(balls_N2 - _middle(annotation)).T)
                taken += [name] if gap_N.min(initial=np.inf) < _SAME_PLACE_PIXELS else []
    return tuple(taken) or (NOBODY,)


def _middle(annotation: dict[str, Any]) -> np.ndarray:
    x, y, width, height = annotation["bbox"]
    return np.array([x + width / 2, y + height / 2])


_ORACLES: dict[str, Callable[[TrueFilm], tuple[str, ...]]] = {
    "demo": _activity,
    "demo-touch": _touched,
    "demo-places": _place,
}
