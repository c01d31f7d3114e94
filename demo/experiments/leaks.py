"""What can be said of a demo film's label without what the label is about: the leak report.

Its oracle reads the label of each film from the ground truth, by the rule that the label stands
for. It looks at classes, tracks, relations and touches, never at the label itself. If it does not
agree with the label table, the world is not well defined.

N films, A activity classes, S detector classes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.world.dials import ROLE_X, ROLE_Y, category_id
from demo.world.films import TrueFilm, true_films
from demo.world.places import BALL, FRAMES, NOBODY
from shared.errors import ConfigError, DataRootError
from shared.jobs.atomic_file import write_text
from shared.manifests.load import load_listing, load_manifest
from shared.manifests.records import Listing, Metric
from shared.masks.coco_classes import NUM_COCO_CLASSES
from shared.text_table import columns, markdown
from stage2_train.ablation.ablate import ablate
from stage2_train.ablation.plan import AblationRequest
from stage2_train.ablation.report_text import interval_text
from stage2_train.evaluation.metrics import chance_level, multi_label_scores, single_label_scores

__all__ = [
    "leak_report",
    "leak_text",
    "majority_scores",
    "presence_floor",
    "presence_scores",
    "untrained_report",
]

_SAME_PLACE_PIXELS = 15.0
"""Between the middles of what is seen of two objects before and after everything moved: more than
the camera's drift, a ball's jitter and shapes make; less than two places are apart."""
_TITLES = {
    "majority": "what is most frequent in training",
    "presence": "how many of each class a film shows; ridge regression on the truth",
    "oracle": "true relations, touches or places from the ground truth",
}


def leak_report(request: AblationRequest, *, untrained: bool) -> dict[str, Any]:
    """Measures what needs no training, then trains and measures the rest by `orn ablate`.

    Args:
        request: table "leaks" of a demo data set.
        untrained: Leave out what is trained.

    Returns:
        The report, which is also written to OUT/leaks-SPLIT.json and .md.

    Raises:
        DataRootError: a part of the data set is not drawn.
        ConfigError: the folder holds runs of other settings.
        TrainingError: a training failed.
    """
    split = "test" if request.test else "validation"
    report = untrained_report(request.manifest, request.resources.root, split=split)
    trained = [] if untrained else ablate(request)["systems"]
    figures = ("title", "mean", "half_width", "num_seeds")
    report["rows"] += [
        {"name": row["system"], **{name: row[name] for name in figures}} for row in trained
    ]
    stem = request.out / f"leaks-{split}"
    write_text(stem.with_suffix(".json"), json.dumps(report, indent=2, allow_nan=False) + "\n")
    write_text(stem.with_suffix(".md"), f"{markdown(_cells(report))}\n\n{_note(report)}\n")
    return report


def untrained_report(dataset: str, data_root: Path, *, split: str) -> dict[str, Any]:
    """Majority, presence of classes and oracle in percent of the data set's metric.

    Raises:
        DataRootError: the training part or the split is not drawn.
    """
    manifest = load_manifest(dataset)
    listing = load_listing(manifest, data_root)
    folder = data_root / manifest.root
    train, train_NA = _labelled_films(folder, listing, "train")
    films, labels_NA = _labelled_films(folder, listing, split)
    oracle_NA = _oracle_scores(dataset, films, listing.classes)
    scores = {
        "majority": majority_scores(train_NA, len(films)),
        "presence": presence_scores(_class_counts(train), train_NA, _class_counts(films)),
        "oracle": oracle_NA,
    }
    return {
        "dataset": manifest.name,
        "split": split,
        "metric": manifest.metric,
        "num_segments": len(films),
        "chance": 100 * chance_level(manifest.metric, labels_NA, num_classes=labels_NA.shape[1]),
        "films_that_the_oracle_misses": int((oracle_NA != labels_NA).any(axis=1).sum()),
        "rows": [
            {
                "name": name,
                "title": _TITLES[name],
                "mean": _percent(manifest.metric, scores_NA, labels_NA),
                "half_width": None,
                "num_seeds": None,
            }
            for name, scores_NA in scores.items()
        ],
    }


def presence_floor(dataset: str, data_root: Path, *, split: str) -> float:
    """Percent that the presence of classes alone tells.

    Raises:
        DataRootError: the training part or the split is not drawn.
    """
    rows = untrained_report(dataset, data_root, split=split)["rows"]
    return next(float(row["mean"]) for row in rows if row["name"] == "presence")


def _labelled_films(
    folder: Path, listing: Listing, part: str
) -> tuple[list[TrueFilm], NDArray[np.float32]]:
    """The films of a part and their labels, (N, A) zeros and ones."""
    truth = true_films(folder, part)
    segments = [segment for segment in listing.segments if segment.split == part]
    unknown = [segment.video_id for segment in segments if segment.video_id not in truth]
    if unknown or not segments:
        found = f"no {part} film" if not segments else f"{unknown[0]}, which has no ground truth"
        raise DataRootError(
            f"{folder}/labels.csv: wanted the films of ground_truth/{part}.json, found {found}; "
            "remove the folder and draw it again"
        )
    labels_NA = np.zeros((len(segments), len(listing.classes)), np.float32)
    for row, segment in enumerate(segments):
        labels_NA[row, list(segment.labels)] = 1
    return [truth[segment.video_id] for segment in segments], labels_NA


def majority_scores(train_NA: NDArray[np.float32], num_films: int) -> NDArray[np.float32]:
    """(num_films, A) each class's share of the training films, the same for every film."""
    return np.repeat(train_NA.mean(axis=0, keepdims=True), num_films, axis=0)


def presence_scores(
    train_NS: NDArray[np.float32], train_NA: NDArray[np.float32], counts_NS: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(N, A) labels as a linear function of how often each class is seen, fitted on training.

    Args:
        train_NS: Objects of each class a frame of the training films shows on average.
        train_NA: Their labels, zeros and ones.
        counts_NS: The same of the films that are measured.
    """
    design = np.concatenate([train_NS, np.ones((len(train_NS), 1))], axis=1)
    normal = design.T @ design + np.eye(design.shape[1])
    weights = np.linalg.solve(normal, design.T @ train_NA)
    measured = np.concatenate([counts_NS, np.ones((len(counts_NS), 1))], axis=1)
    return np.asarray(measured @ weights, np.float32)


def _class_counts(films: Sequence[TrueFilm]) -> NDArray[np.float32]:
    """(N, S) objects of each class that a frame shows on average."""
    counts_NS = np.zeros((len(films), NUM_COCO_CLASSES), np.float32)
    for row, film in enumerate(films):
        for frame in film.frames:
            for annotation in frame:
                counts_NS[row, annotation["category_id"] - 1] += 1 / len(film.frames)
    return counts_NS


def _oracle_scores(
    dataset: str, films: Sequence[TrueFilm], classes: Sequence[str]
) -> NDArray[np.float32]:
    """(N, A) ones where the oracle says that a class holds."""
    scores_NA = np.zeros((len(films), len(classes)), np.float32)
    for row, film in enumerate(films):
        for name in _ORACLES[dataset](film):
            if name not in classes:
                raise ConfigError(
                    f"{film.id}: the ground truth says {name!r}, which is none of the "
                    f"classes {', '.join(classes)}; draw the data set again"
                )
            scores_NA[row, classes.index(name)] = 1
    return scores_NA


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
    balls = [_middle(a) for a in after if a["category_id"] == category_id(BALL)]
    balls_N2 = np.reshape(balls, (-1, 2))  # of none, too
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


def _percent(
    metric: Metric, scores_NA: NDArray[np.float32], labels_NA: NDArray[np.float32]
) -> float:
    if metric == "top1":
        return 100 * single_label_scores(scores_NA, labels_NA.argmax(axis=1)).summary["top1"]
    return 100 * multi_label_scores(scores_NA, labels_NA).summary["map"]


def _cells(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("reads", report["dataset"], "seeds", "")]
    for row in report["rows"]:
        seeds = "-" if row["num_seeds"] is None else str(row["num_seeds"])
        rows.append((row["name"], interval_text(row), seeds, row["title"]))
    return rows


def _note(report: Mapping[str, Any]) -> str:
    missed = report["films_that_the_oracle_misses"]
    if not missed:
        return "The oracle is right on every film: the labels follow from the ground truth."
    return (
        f"THE WORLD IS NOT WELL DEFINED: on {missed} of {report['num_segments']} films the label "
        "does not follow from the ground truth; compare nothing on it."
    )


def leak_text(report: Mapping[str, Any]) -> str:
    """The report for people."""
    head = (
        f"{report['dataset']}, {report['split']}: {report['metric']} in percent on "
        f"{report['num_segments']} films, chance {report['chance']:.1f}; mean over seeds +- half "
        "of the 95 % interval"
    )
    return "\n".join([head, "", columns(_cells(report)), "", _note(report)])
