"""Shortcut baselines: how well labels can be predicted without interactions between objects.

The baselines are the majority class, ridge regressions of the labels on features that describe the
objects in a segment, and, with --train, networks that read part of the input.

N segments, A activity classes, F features of a segment.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import JoinError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.manifests.load import load_listing, load_manifest, locate_videos
from orn.shared.manifests.records import Listing, Segment, Split
from orn.shared.manifests.schema import Manifest
from orn.shared.report import Report, Table
from orn.shared.shards.reader import DetectionFolder
from orn.shared.text import counted
from orn.stage2_train.ablation.ablate import ablate
from orn.stage2_train.ablation.request import COUNTS
from orn.stage2_train.clips.join import check_detected_videos
from orn.stage2_train.evaluation.bootstrap import Tallies, bootstrap_figures, with_interval
from orn.stage2_train.evaluation.figures import with_groups
from orn.stage2_train.evaluation.metrics import chance_level
from orn.stage2_train.evaluation.predictions import Predictions
from orn.stage2_train.evaluation.statistics import CONFIDENCE, interval_text
from orn.stage2_train.leaks.objects import SeenObjects, seen_objects
from orn.stage2_train.leaks.request import LeaksRequest
from orn.stage2_train.recipe import default_recipe, load_recipe

logger = logging.getLogger(__name__)

_NUM_DRAWS = 1000
_OF_CLASSES = ("classes-seen", COUNTS, "presence")
_READS: dict[str, tuple[str, Callable[[SeenObjects], NDArray[np.float32]]]] = {
    "classes-seen": ("which classes occur", lambda seen: seen.seen_NS),
    COUNTS: ("number of objects of each class per frame", lambda seen: seen.counts_NS),
    "boxes": ("positions and sizes of boxes, without classes", lambda seen: seen.boxes_NM),
    "middle-frame": ("classes and boxes of the middle frame", lambda seen: seen.middle_NF),
    "unordered-frames": (
        "classes and boxes of all frames, without their order",
        lambda seen: seen.both_NF,
    ),
}
"""Title and inputs of each linear baseline."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """Labelled segments in a split."""

    manifest: Manifest
    segments: tuple[Segment, ...]
    labels: NDArray[np.int64] | NDArray[np.float32]
    """(N,) classes, or (N, A) zeros and ones."""
    num_classes: int
    """Number of activity classes, A."""
    unsure_NA: NDArray[np.bool_]
    """Pairs of segment and class that average precision ignores."""

    def row(self, name: str, title: str, scores_NA: NDArray[np.float32]) -> dict[str, Any]:
        """Return the row for a baseline: its metric in percent, with the interval."""
        bare = Predictions(
            ids=tuple(each.id for each in self.segments),
            labels=self.labels,
            activity_logits=None,
            object_logits=scores_NA,
        )
        found = with_groups(bare, self.segments, self.unsure_NA)
        groups = found.groups or found.ids
        tallies = Tallies(found.labels, scores_NA, found.unsure)
        (draws_FR,) = bootstrap_figures([tallies], groups, num_draws=_NUM_DRAWS)
        figure = with_interval(float(tallies.once()[0]), draws_FR[0], num_groups=len(set(groups)))
        mean, low, high = (None if each is None else 100 * each for each in figure.values())
        figures = {"mean": mean, "half_width": None, "num_seeds": None}
        return {"name": name, "title": title, **figures, "low": low, "high": high}


def labelled(manifest: Manifest, listing: Listing, segments: Sequence[Segment]) -> Labelled:
    """Return the segments that have labels."""
    is_single, num_classes = manifest.task == "single-label", len(listing.classes)
    kept = tuple(each for each in segments if len(each.labels) == 1 or not is_single)
    unsure_NA = np.zeros((len(kept), num_classes), np.bool_)
    labels_NA = np.zeros((0 if is_single else len(kept), num_classes), np.float32)
    for row, segment in enumerate(kept):
        unsure_NA[row, list(segment.unsure)] = True
        if not is_single:
            labels_NA[row, list(segment.labels)] = 1
    labels_N = np.array([each.labels[0] for each in kept] if is_single else [], np.int64)
    return Labelled(
        manifest=manifest,
        segments=kept,
        labels=labels_N if is_single else labels_NA,
        num_classes=num_classes,
        unsure_NA=unsure_NA,
    )


def majority_scores(train: Labelled, number: int) -> NDArray[np.float32]:
    """Return (number, A) fractions of the training segments with each class, equal in all rows."""
    if train.labels.ndim == 1:
        times_A = np.bincount(train.labels.astype(np.int64), minlength=train.num_classes)
    else:
        times_A = train.labels.sum(axis=0, dtype=np.int64)
    share_A = (times_A / len(train.labels)).astype(np.float32)
    return np.repeat(share_A[None], number, axis=0)


def ridge_scores(
    train_NF: NDArray[np.float32], train: Labelled, numbers_NF: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return (N, A) labels predicted by ridge regression, with a penalty of 1.

    Args:
        train_NF: features of the training segments.
        train: their labels.
        numbers_NF: features of the segments to predict.
    """
    design = np.concatenate([train_NF, np.ones((len(train_NF), 1))], axis=1)
    normal = design.T @ design + np.eye(design.shape[1])
    if train.labels.ndim == 1:
        sums_AF = np.zeros((train.num_classes, design.shape[1]))
        np.add.at(sums_AF, train.labels.astype(np.int64), design)
        products = sums_AF.T
    else:
        products = design.T @ train.labels
    weights = np.linalg.solve(normal, products)
    measured = np.concatenate([numbers_NF, np.ones((len(numbers_NF), 1))], axis=1)
    return np.asarray(measured @ weights, np.float32)


def untrained_report(request: LeaksRequest) -> dict[str, Any]:
    """Return the report with the majority and the linear baselines, in percent.

    If the default folder of shards is missing, log a warning and report only the majority.
    """
    check_output_folder(request.folder, ours=["*"])
    manifest = load_manifest(request.manifest)
    listing = load_listing(manifest, request.resources.root)
    splits: tuple[Split, Split] = ("train", "test" if request.test else "validation")
    parts = [
        labelled(manifest, listing, [each for each in listing.segments if each.split == split])
        for split in splits
    ]
    detections = _detections(request, manifest)
    if detections is not None:
        videos = locate_videos(manifest, listing, request.resources.root).videos
        check_detected_videos(videos, detections)
    objects: list[SeenObjects] = []
    if detections is not None:
        recipe = load_recipe(
            request.recipe or default_recipe(manifest.name),
            num_activities=len(listing.classes),
            overrides=request.overrides,
            clip_frames=manifest.clip_frames,
        )
        objects = [
            seen_objects(
                part.segments,
                detections,
                score_threshold=recipe.data.score_threshold,
                partial=request.resources.partial,
                task=f"{split} objects",
            )
            for split, part in zip(splits, parts, strict=True)
        ]
        parts = [labelled(manifest, listing, each.segments) for each in objects]
    train, measured = parts
    for split, part in zip(splits, parts, strict=True):
        if not part.segments or (part.labels.ndim == 2 and not part.labels.any()):
            raise JoinError(
                f"{manifest.name}, {split}: expected labelled segments, got none; see `orn "
                f"manifest check {manifest.name}`"
            )
    rows = [
        measured.row(
            "majority",
            "the most frequent label in training",
            majority_scores(train, len(measured.segments)),
        )
    ]
    if objects:
        of_train, of_measured = objects
        rows += [
            measured.row(name, title, ridge_scores(read(of_train), train, read(of_measured)))
            for name, (title, read) in _READS.items()
        ]
    persons = all(each.participant is not None for each in measured.segments)
    chance = chance_level(
        manifest.metric,
        measured.labels,
        num_classes=measured.num_classes,
        unsure_NA=measured.unsure_NA,
    )
    return {
        "dataset": manifest.name,
        "split": splits[1],
        "metric": manifest.metric,
        "num_train": len(train.segments),
        "num_segments": len(measured.segments),
        "num_skipped": sum(each.num_skipped for each in objects),
        "shards": None if detections is None else str(detections.path),
        "interval": {
            "confidence": CONFIDENCE,
            "over": "participants" if persons else "videos",
            "draws": _NUM_DRAWS,
        },
        "chance": 100 * chance,
        "rows": rows,
    }


def _detections(request: LeaksRequest, manifest: Manifest) -> DetectionFolder | None:
    path = request.resources.shards_of(manifest.name)
    if request.resources.shards is None and not path.is_dir():
        logger.warning(
            "%s: no shards, so only the majority baseline is reported; pass --shards, or run `orn "
            "detect`",
            path,
        )
        return None
    return DetectionFolder(path)


def completed(report: dict[str, Any], request: LeaksRequest) -> dict[str, Any]:
    """Return the report with the trained baselines, if requested, and its interpretation.

    The report is also written to OUT/leaks-SPLIT.json and .md.
    """
    trained = ablate(request.trainings())["systems"] if request.train else []
    figures = ("title", "mean", "half_width", "num_seeds")
    report["rows"] += [
        {"name": row["system"], **{name: row[name] for name in figures}, "low": None, "high": None}
        for row in trained
    ]
    report["meaning"] = meaning(report)
    stem = request.folder / f"leaks-{report['split']}"
    write_text(stem.with_suffix(".json"), json.dumps(report, indent=2, allow_nan=False) + "\n")
    write_text(stem.with_suffix(".md"), f"{as_report(report).markdown()}\n")
    return report


def meaning(report: Mapping[str, Any]) -> str:
    """Return what the baselines imply for a claim that relations between objects matter."""
    rows = {row["name"]: row for row in report["rows"] if row["name"] != "oracle"}
    majority = rows["majority"]["mean"]
    if len(rows) == 1:
        return (
            f"Always predicting the most frequent label reaches {majority:.1f} %. The baselines "
            "that use objects require detections."
        )
    best = max(rows.values(), key=lambda row: row["mean"])
    parts = [
        f"The best baseline reaches {best['mean']:.1f} % without interactions between objects "
        f"({best['name']}: {best['title']}); chance is {report['chance']:.1f} %, the majority "
        f"{majority:.1f} %. A claim that relations between objects matter requires a system that "
        f"exceeds {best['mean']:.1f} % on these segments, not only chance."
    ]
    of_classes = [row for name, row in rows.items() if name in _OF_CLASSES]
    classes = max(of_classes, key=lambda row: row["mean"], default=None)
    if classes is not None and _is_above(classes, majority):
        parts.append(
            f"Classes alone gain {classes['mean'] - majority:.1f} points over the majority: a "
            "system that reads classes can gain as much over pixels without any reasoning, so "
            "compare it with a system that reads the same classes (`coco-class`, mixed classes)."
        )
    elif classes is not None and classes["mean"] > majority:
        parts.append(
            f"{report['num_segments']:,} segments are too few to decide whether classes alone "
            f"predict labels: {classes['name']} reaches {classes['mean']:.1f} %, but its interval, "
            f"{classes['low']:.1f} to {classes['high']:.1f}, contains the majority."
        )
    elif classes is not None:
        parts.append(
            "Classes alone gain nothing over the majority: the gain of a system with objects does "
            "not come from which objects are present."
        )
    if "boxes" in rows and _is_above(rows["boxes"], majority):
        gain = rows["boxes"]["mean"] - majority
        parts.append(f"Positions and sizes of boxes alone gain {gain:.1f} points.")
    middle, unordered = rows.get("middle-frame"), rows.get("unordered-frames")
    if middle and unordered and unordered["mean"] <= middle["mean"]:
        parts.append("More frames, without their order, add nothing to the middle frame.")
    if all(row["num_seeds"] is None for row in rows.values()):
        parts.append("These baselines are linear; trained networks (--train) may reach more.")
    return " ".join(parts)


def _is_above(row: Mapping[str, Any], value: float) -> bool:
    """Return whether a row's interval (its mean if it has no interval) is above a value."""
    low = row["mean"] if row["low"] is None else row["low"]
    return bool(low > value)


def as_report(report: Mapping[str, Any]) -> Report:
    """Return the report in printable form."""
    skipped = f", {report['num_skipped']:,} left out" if report["num_skipped"] else ""
    rows = []
    for row in report["rows"]:
        seeds = "-" if row["num_seeds"] is None else str(row["num_seeds"])
        ends = "" if row["low"] is None else f" [{row['low']:.1f}, {row['high']:.1f}]"
        rows.append(
            (row["name"], interval_text(row["mean"], row["half_width"]) + ends, seeds, row["title"])
        )
    return Report(
        title=f"{report['dataset']}, {report['split']}: {report['metric']} in percent on "
        f"{counted(report['num_segments'], 'segment')}{skipped}, chance {report['chance']:.1f}; "
        f"95 % intervals over {report['interval']['over']}, of trained rows half the width over "
        "seeds",
        tables=[Table(header=("baseline", report["dataset"], "seeds", "input"), rows=rows)],
        notes=[note for note in (report.get("note"), report["meaning"]) if note],
    )
