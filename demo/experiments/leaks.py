"""Add ground truth baselines to the leak report of a demo data set.

An oracle computes the label of each film from classes, tracks, relations and touches in the ground
truth. If it disagrees with the label table, the data set is not well defined.

Axes: N films, A activity classes, S detector classes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.demo.world.films import FilmTruth, true_films
from orn.demo.world.parameters import ALIKE, ROLE_X, ROLE_Y, category_id
from orn.demo.world.places import BALL, BOTH_CEILINGS, FRAMES, NOBODY, both_label
from orn.shared.errors import ConfigError, DataRootError
from orn.shared.manifests.load import load_listing, load_manifest
from orn.shared.masks.coco_classes import NUM_COCO_CLASSES
from orn.shared.text import counted
from orn.stage2_train.leaks import report as leaks
from orn.stage2_train.leaks.report import Labelled, labelled, ridge_scores
from orn.stage2_train.leaks.request import LeaksRequest

_SAME_PLACE_PIXELS = 15.0
"""Maximum distance between the centers of two objects in the same place before and after the
change: larger than camera drift and jitter, smaller than the distance between two places."""


def leak_report(request: LeaksRequest) -> dict[str, Any]:
    """Write the leak report of a data set and return it, with ground truth baselines if possible.

    The report is written to OUT/leaks-SPLIT.json and .md.
    """
    report, manifest = leaks.untrained_report(request), load_manifest(request.manifest)
    root, split = request.resources.root, report["split"]
    truth = root / manifest.root / "ground_truth" / f"{split}.json"
    if manifest.name in _ORACLES and truth.is_file():
        rows, missed = true_rows(request.manifest, root, split=split)
        report["rows"] += rows
        report["films_that_the_oracle_misses"] = missed
        report["note"] = _note(missed, report["num_segments"])
    if manifest.name == "demo-both":
        report["ceilings"] = BOTH_CEILINGS
        most = (f"{name} {value:.1f}" for name, value in report["ceilings"].items())
        ceilings = f"Maximum accuracy in percent: {'; '.join(most)}."
        report["note"] = f"{report.get('note', '')} {ceilings}".strip()
    return leaks.completed(report, request)


def true_rows(dataset: str, data_root: Path, *, split: str) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of the ground truth baselines and the number of the oracle's errors.

    Raises:
        DataRootError: if the training split or the given split has no ground truth.
    """
    train, train_films, _ = _films_of(dataset, data_root, "train")
    measured, films, classes = _films_of(dataset, data_root, split)
    presence_NA = ridge_scores(_class_counts(train_films), train, _class_counts(films))
    oracle_NA = _oracle_scores(dataset, films, classes)
    labels_NA = measured.labels
    if labels_NA.ndim == 1:
        labels_NA = np.eye(len(classes), dtype=np.float32)[labels_NA.astype(np.int64)]
    titles = {
        "presence": "number of objects per class, including hidden ones, from the ground truth",
        "oracle": "relations, touches or places from the ground truth",
    }
    scores = {"presence": presence_NA, "oracle": oracle_NA}
    rows = [measured.row(name, title, scores[name]) for name, title in titles.items()]
    return rows, int((oracle_NA != labels_NA).any(axis=1).sum())


def _films_of(
    dataset: str, data_root: Path, part: str
) -> tuple[Labelled, list[FilmTruth], tuple[str, ...]]:
    """Return the labels and ground truth of a split's films, and the data set's classes."""
    manifest = load_manifest(dataset)
    listing, folder = load_listing(manifest, data_root), data_root / manifest.root
    truth = true_films(folder, part)
    segments = [segment for segment in listing.segments if segment.split == part]
    unknown = [segment.video_id for segment in segments if segment.video_id not in truth]
    if unknown or not segments:
        found = f"no {part} films" if not segments else f"{unknown[0]} without ground truth"
        raise DataRootError(
            f"{folder}/labels.csv: expected the films of ground_truth/{part}.json, got {found}; "
            "remove the folder and regenerate it"
        )
    films = [truth[each.video_id] for each in segments]
    return labelled(manifest, listing, segments), films, listing.classes


def _class_counts(films: Sequence[FilmTruth]) -> NDArray[np.float32]:
    """Return the (N, S) mean number of objects of each class per frame."""
    counts_NS = np.zeros((len(films), NUM_COCO_CLASSES), np.float32)
    for row, film in enumerate(films):
        for frame in film.frames:
            for annotation in frame:
                counts_NS[row, annotation["category_id"] - 1] += 1 / len(film.frames)
    return counts_NS


def _oracle_scores(
    dataset: str, films: Sequence[FilmTruth], classes: Sequence[str]
) -> NDArray[np.float32]:
    """Return (N, A) scores: 1 for the labels of the oracle."""
    scores_NA = np.zeros((len(films), len(classes)), np.float32)
    for row, film in enumerate(films):
        for name in _ORACLES[dataset](film):
            if name not in classes:
                raise ConfigError(
                    f"{film.video_id}: expected a ground-truth label among {', '.join(classes)}, "
                    f"got {name!r}; regenerate the data set"
                )
            scores_NA[row, classes.index(name)] = 1
    return scores_NA


def _activity(film: FilmTruth) -> tuple[str, ...]:
    """Return the activity of the objects with the classes of X and Y."""
    category_of = {a["track_id"]: a["category_id"] for frame in film.frames for a in frame}
    xs, ys = ({category_id(name) for name in role} for role in (ROLE_X, ROLE_Y))
    return tuple(
        relation["name"]
        for relation in film.relations
        if category_of.get(relation["x_track"]) in xs and category_of.get(relation["y_track"]) in ys
    )


def _touched(film: FilmTruth) -> tuple[str, ...]:
    return tuple(film.touched)


def _place(film: FilmTruth) -> tuple[str, ...]:
    """Return the class whose place before the change a ball takes."""
    owners = [owner for owner in ROLE_Y if (BALL, owner) in _taken_places(film, [BALL], ROLE_Y)]
    return tuple(owners) or (NOBODY,)


def _surface_and_place(film: FilmTruth) -> tuple[str, ...]:
    """Return the surface, the class that takes a place, and the class whose place it takes."""
    assert film.surface is not None
    return tuple(
        both_label(film.surface, taker, owner) for taker, owner in _taken_places(film, ALIKE, ALIKE)
    )


def _taken_places(
    film: FilmTruth, takers: Sequence[str], owners: Sequence[str]
) -> list[tuple[str, str]]:
    """Return pairs of classes; the first takes the place of the second at the change."""
    before, after = film.frames[FRAMES // 2 - 1], film.frames[FRAMES // 2]
    return [
        (taker, owner)
        for taker in takers
        for owner in owners
        for new in _centres(after, taker)
        for old in _centres(before, owner)
        if np.hypot(*(new - old)) < _SAME_PLACE_PIXELS
    ]


def _centres(frame: Sequence[dict[str, Any]], name: str) -> list[np.ndarray]:
    return [_centre(each) for each in frame if each["category_id"] == category_id(name)]


def _centre(annotation: dict[str, Any]) -> np.ndarray:
    x, y, width, height = annotation["bbox"]
    return np.array([x + width / 2, y + height / 2])


_ORACLES: dict[str, Callable[[FilmTruth], tuple[str, ...]]] = {
    "demo": _activity,
    "demo-touch": _touched,
    "demo-places": _place,
    "demo-both": _surface_and_place,
}


def _note(missed: int, number: int) -> str:
    if not missed:
        return "The oracle is correct on all films: the ground truth determines the labels."
    return (
        f"THE WORLD IS NOT WELL DEFINED: for {missed} of {counted(number, 'film')} the ground "
        "truth does not determine the label; do not use it for comparisons."
    )
