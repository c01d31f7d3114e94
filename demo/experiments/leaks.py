"""The leak report of a demo data set: that of any data set, and what only the ground truth tells.

Its oracle reads the label of each film from the ground truth, by the rule that the label stands
for. It looks at classes, tracks, relations and touches, never at the label itself. If it does not
agree with the label table, the world is not well defined.

N films, A activity classes, S detector classes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.demo.world.dials import ALIKE, ROLE_X, ROLE_Y, category_id
from orn.demo.world.films import FilmTruth, true_films
from orn.demo.world.places import BALL, BOTH_CEILINGS, FRAMES, NOBODY, both_label
from orn.shared.errors import ConfigError, DataRootError
from orn.shared.manifests.load import load_listing, load_manifest
from orn.shared.masks.coco_classes import NUM_COCO_CLASSES
from orn.shared.text import counted
from orn.stage2_train.leaks import report as leaks
from orn.stage2_train.leaks.report import Labelled, labelled, ridge_scores
from orn.stage2_train.leaks.request import LeaksRequest

_SAME_PLACE_PIXELS = 15.0
"""Between the middles of what is seen of two objects before and after everything moved: more than
the camera's drift, a ball's jitter and shapes make; less than two places are apart."""


def leak_report(request: LeaksRequest) -> dict[str, Any]:
    """Return the report of any data set; of those that `_ORACLES` knows, if their ground truth is
    there, with its rows.


    Returns:
        The report, which is also written to OUT/leaks-SPLIT.json and .md.

    Raises:
        DataRootError: if label tables are missing.
        JoinError: if segments have no detections, unless part of the data is enough, or none has.
        ConfigError: if the folder holds runs of other settings.
        TrainingError: if a training failed.
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
        report["note"] = f"{report.get('note', '')} At most, in percent: {'; '.join(most)}.".strip()
    return leaks.completed(report, request)


def true_rows(dataset: str, data_root: Path, *, split: str) -> tuple[list[dict[str, Any]], int]:
    """The rows of presence, which counts hidden objects, too, and of the oracle, and how many films
    the oracle misses.

    Raises:
        DataRootError: the training part or the split is not drawn.
    """
    train, train_films, _ = _films_of(dataset, data_root, "train")
    measured, films, classes = _films_of(dataset, data_root, split)
    presence_NA = ridge_scores(_class_counts(train_films), train, _class_counts(films))
    oracle_NA = _oracle_scores(dataset, films, classes)
    labels_NA = measured.labels
    if labels_NA.ndim == 1:
        labels_NA = np.eye(len(classes), dtype=np.float32)[labels_NA.astype(np.int64)]
    titles = {
        "presence": "how many of each class a film has, hidden ones too, by the ground truth",
        "oracle": "true relations, touches or places from the ground truth",
    }
    scores = {"presence": presence_NA, "oracle": oracle_NA}
    rows = [measured.row(name, title, scores[name]) for name, title in titles.items()]
    return rows, int((oracle_NA != labels_NA).any(axis=1).sum())


def _films_of(
    dataset: str, data_root: Path, part: str
) -> tuple[Labelled, list[FilmTruth], tuple[str, ...]]:
    """The films of a part with their labels, their truth, and the classes of the data set."""
    manifest = load_manifest(dataset)
    listing, folder = load_listing(manifest, data_root), data_root / manifest.root
    truth = true_films(folder, part)
    segments = [segment for segment in listing.segments if segment.split == part]
    unknown = [segment.video_id for segment in segments if segment.video_id not in truth]
    if unknown or not segments:
        found = f"no {part} film" if not segments else f"{unknown[0]}, which has no ground truth"
        raise DataRootError(
            f"{folder}/labels.csv: wanted the films of ground_truth/{part}.json, found {found}; "
            "remove the folder and draw it again"
        )
    films = [truth[each.video_id] for each in segments]
    return labelled(manifest, listing, segments), films, listing.classes


def _class_counts(films: Sequence[FilmTruth]) -> NDArray[np.float32]:
    """(N, S) objects of each class that a frame shows on average."""
    counts_NS = np.zeros((len(films), NUM_COCO_CLASSES), np.float32)
    for row, film in enumerate(films):
        for frame in film.frames:
            for annotation in frame:
                counts_NS[row, annotation["category_id"] - 1] += 1 / len(film.frames)
    return counts_NS


def _oracle_scores(
    dataset: str, films: Sequence[FilmTruth], classes: Sequence[str]
) -> NDArray[np.float32]:
    """(N, A) ones where the oracle says that a class holds."""
    scores_NA = np.zeros((len(films), len(classes)), np.float32)
    for row, film in enumerate(films):
        for name in _ORACLES[dataset](film):
            if name not in classes:
                raise ConfigError(
                    f"{film.video_id}: the ground truth says {name!r}, which is none of the "
                    f"classes {', '.join(classes)}; draw the data set again"
                )
            scores_NA[row, classes.index(name)] = 1
    return scores_NA


def _activity(film: FilmTruth) -> tuple[str, ...]:
    """What an object of a class of X does to one of a class of Y."""
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
    """Whose place of the last frame before the change a ball has in the first frame after it."""
    owners = [owner for owner in ROLE_Y if (BALL, owner) in _takings(film, [BALL], ROLE_Y)]
    return tuple(owners) or (NOBODY,)


def _surface_and_place(film: FilmTruth) -> tuple[str, ...]:
    """The surface, and who has whose place of the last frame before the change in the first frame
    after it."""
    assert film.surface is not None
    return tuple(
        both_label(film.surface, taker, owner) for taker, owner in _takings(film, ALIKE, ALIKE)
    )


def _takings(
    film: FilmTruth, takers: Sequence[str], owners: Sequence[str]
) -> list[tuple[str, str]]:
    """Who of some classes has whose place of some others."""
    before, after = film.frames[FRAMES // 2 - 1], film.frames[FRAMES // 2]
    return [
        (taker, owner)
        for taker in takers
        for owner in owners
        for new in _middles(after, taker)
        for old in _middles(before, owner)
        if np.hypot(*(new - old)) < _SAME_PLACE_PIXELS
    ]


def _middles(frame: Sequence[dict[str, Any]], name: str) -> list[np.ndarray]:
    return [_middle(each) for each in frame if each["category_id"] == category_id(name)]


def _middle(annotation: dict[str, Any]) -> np.ndarray:
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
        return "The oracle is right on every film: the labels follow from the ground truth."
    return (
        f"THE WORLD IS NOT WELL DEFINED: on {missed} of {counted(number, 'film')} the label "
        "does not follow from the ground truth; compare nothing on it."
    )
