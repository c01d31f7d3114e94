"""Reads the label of each demo film from its ground truth, by the rule that the label stands for.

It looks at classes, tracks, relations and touches, never at the label itself. If it does not agree
with the label table, the world is not well defined.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_manifests.demo.dials import ROLE_X, ROLE_Y, category_id
from data_manifests.demo.places import BALL, FRAMES, PLACE_CLASSES
from shared.errors import DataRootError

__all__ = ["TrueFilm", "oracle_labels", "true_films"]

_SAME_PLACE_PIXELS = 15.0
"""Between the middles of what is seen of two objects before and after everything moved: more than
the camera's drift, a ball's jitter and shapes make; less than two places are apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueFilm:
    """What is true of one film."""

    video: dict[str, Any]
    """Its entry in `videos`."""
    frames: list[list[dict[str, Any]]]
    """Annotations of each frame."""


def true_films(folder: Path, part: str) -> dict[str, TrueFilm]:
    """The films of one part of a drawn data set by their id.

    Raises:
        DataRootError: the part has no ground truth.
    """
    path = folder / "ground_truth" / f"{part}.json"
    if not path.is_file():
        raise DataRootError(
            f"{path}: wanted the ground truth of the {part} films, found none; `orn demo-world` "
            "draws it, with --films TRAIN,VALIDATION,TEST as many as are wanted"
        )
    document = json.loads(path.read_text(encoding="utf-8"))
    by_image: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    frames: dict[int, list[list[dict[str, Any]]]] = {}
    for image in document["images"]:  # in the order of films and frames
        frames.setdefault(image["video_id"], []).append(by_image[image["id"]])
    return {
        video["name"]: TrueFilm(video=video, frames=frames[video["id"]])
        for video in document["videos"]
    }


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
    return tuple(taken) or (PLACE_CLASSES[-1],)


def _middle(annotation: dict[str, Any]) -> np.ndarray:
    x, y, width, height = annotation["bbox"]
    return np.array([x + width / 2, y + height / 2])


_ORACLES: dict[str, Callable[[TrueFilm], tuple[str, ...]]] = {
    "demo": _activity,
    "demo-touch": _touched,
    "demo-places": _place,
}
