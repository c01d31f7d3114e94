"""The view model of `report.html`."""

import math
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np

from orn.data_manifests.check import FEW_CLIPS
from orn.data_manifests.load import data_root_of, load_manifest
from orn.data_manifests.manifest import TableLabels
from orn.data_manifests.new_manifest import has_usual_manifest
from orn.shared.config.toml_files import to_toml
from orn.shared.data_files import json_digest
from orn.shared.pages.render import fitted_page, render
from orn.shared.shards.shard_format import DetectorEntry
from orn.shared.text import counted, escape_lines, truncate
from orn.shared.text_summary import Table
from orn.stage2_train.evaluation.baseline_gain import beside_network
from orn.stage2_train.report.draw_clip import FULL_DROP
from orn.stage2_train.report.eval_results import OUTCOMES, Measured
from orn.stage2_train.report.explained_clips import MOST_DOUBTS, EvaluatedRun, Explanations
from orn.stage2_train.report.film_timelines import FilmLink
from orn.stage2_train.report.label_doubts import Doubt
from orn.stage2_train.report.shown_clip import LEAST_DROP, PART_NAMES
from orn.stage2_train.runs.eval_file import EvalFile, read_eval
from orn.stage2_train.runs.film_results import Figure
from orn.stage2_train.runs.run_config import RunConfig
from orn.stage2_train.runs.run_folder import BASELINE_NAME
from orn.stage2_train.runs.trained import OpenedModel
from orn.stage2_train.settings.names import FIGURES, FILM_HEAD, FOLDS, WHOLE
from orn.stage2_train.settings.resources import DataPaths

_PARTS = {"model": "the network and the forest", "two_heads": "both heads", **PART_NAMES}
_DEMO_DETECTOR = "mask_rcnn_demo"
_METRICS = {"top1": "top-1 accuracy", "map": "mean average precision"}
_LARGEST_MATRIX = 40
"""Maximum number of classes in the confusion matrix: those with the most mistakes."""
_MOST_IN_CELL = 200
_MOST_LISTED = 10_000
"""Maximum number of clips listed for all cells; each cell lists at least one."""
_LISTED_PAIRS = 5
"""Number of pairs of classes for each activity in the table of related objects."""


def report_page(
    run: Path,
    runs: Sequence[EvaluatedRun],
    measured: Measured,
    explained: Explanations,
    *,
    paths: DataPaths,
    timelines: Sequence[FilmLink] = (),
) -> str:
    """Return the report page of a run.

    Args:
        run: the run folder.
        runs: the run, or the runs of its folds.
        measured: results of `orn eval`.
        explained: explanations of its clips.
        paths: paths of the data.
        timelines: pages of its films.

    Raises:
        PipelineError: if the page is too large even without pictures.
    """
    counts_RC, model = measured.counts_RC(), runs[0].model
    groups = [
        {
            "title": cell_title(measured, *cell),
            "count": int(counts_RC[cell]),
            "total": measured.file.per_class[cell[0]].num_segments,
            "is_missed": cell[1] < 2,
            "cases": [explained.cases[mistake.row, mistake.activity] for mistake in mistakes],
        }
        for cell, mistakes in explained.mistakes.items()
    ]
    file, strips = measured.file, list(explained.strips.values())
    view = {
        "title": run.resolve().name,
        "config": model.config,
        "measured": measured,
        "file": file,
        "answer": _answer(file),
        "metric": f"{_METRICS[file.metric]}{' of windows' if file.films else ''}",
        "film_tables": film_tables(run, file),
        "timelines": timelines,
        "parts_of": part_rows(measured),
        "reliability": _reliability(file),
        "warnings": list(_warnings(file, runs[0].opened.detections.detector)),
        "beside": beside_network(run, file.split),
        "groups": groups,
        "num_mistakes": len(measured.mistakes()),
        "counts": counts_RC.tolist(),
        "rows": (rows := _most_confused(measured)),
        "columns": rows if measured.single else range(len(OUTCOMES)),
        "related": list(_related(runs[0], explained)),
        "has_pairs": model.relates_pairs,
        "scale": (LEAST_DROP, FULL_DROP),
        "made": _made(run, runs, paths, file),
    }
    data = _listed(measured, explained) | {
        "review": _review(run, measured, explained.doubts, paths),
    }

    def page(held: Set[str]) -> str:
        shown = {
            strip.key: [strip.source, strip.frames, *strip.size]
            for strip in strips
            if strip.key in held
        }
        template = "orn.stage2_train.report/report.html"
        return render(template, **view, held=held, data=data | {"strips": shown})

    pictures = [*strips, *(case["picture"] for case in explained.cases.values())]
    return fitted_page(page, pictures, kind="report")


def _answer(file: EvalFile) -> dict[str, str]:
    """Return the texts of the first paragraph of a report."""
    name, score = file.score()
    number = counted(file.num_segments, "segment")
    if file.films is not None:
        number = counted(len(file.films.films), "film")
    elif file.drawn.over == "videos" and file.drawn.num_groups == file.num_segments:
        number = counted(file.num_segments, "video")
    return {
        "score": "-" if score.value is None else f"{100 * score.value:.1f}",
        "interval": _bounds(score.low, score.high),
        "metric": FIGURES.get(name) or _METRICS[name],
        "head": _part_name(file, next(iter(file.heads()))),
        "number": number,
    }


def part_rows(measured: Measured) -> list[tuple[str, str, str, str]]:
    """Return the name of the model and of each of its parts with its score, the interval of the
    score, and how it compares with the model."""
    file, differences = measured.file, measured.differences()
    return [
        (
            _part_name(file, part),
            f"{100 * figures[file.metric]:.1f}",
            _interval(file, part),
            _verdict(differences[part]) if part in differences else "",
        )
        for part, figures in file.heads().items()
    ]


def _part_name(file: EvalFile, part: str) -> str:
    if part == WHOLE and FILM_HEAD in file.by_head:
        return "the network, the forest and the head over time"
    return _PARTS[part]


def _interval(file: EvalFile, part: str) -> str:
    return _bounds(*(file.interval(part, file.metric) or (None, None)))


def _bounds(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{100 * low:.1f}\u2013{100 * high:.1f}"


def film_tables(run: Path, file: EvalFile) -> list[Table]:
    """Return the figures of found intervals, with those of the baseline, and the number and seconds
    of each activity; none for clips."""
    if file.films is None:
        return []
    beside: dict[str, dict[str, Figure]] = {}
    path = run / BASELINE_NAME / f"eval-{file.split}.json"
    if path.exists() and (own := read_eval(path)).films is not None:
        beside = {next(iter(own.by_head)): own.films.figures, **own.films.beside}
    films = file.films.model_copy(update={"beside": beside})
    return [films.table(_part_name(file, next(iter(file.heads())))), films.counts_table()]


def _reliability(file: EvalFile) -> list[tuple[str, float, str, str, float]]:
    """Return the bars of a reliability plot: confidence, accuracy, color, text, mean confidence."""
    bins = file.calibration.plotted() if file.calibration else []
    tops = [10 * max(math.ceil(10 * each.confidence - 1e-9), 1) for each in bins]
    return [
        (
            f"{top - 10} to {top} %",
            each.accuracy,
            "var(--accent)",
            f"{100 * each.accuracy:.0f} % of {each.num_segments:,}",
            each.confidence,
        )
        for top, each in zip(tops, bins, strict=True)
    ]


def _warnings(file: EvalFile, detector: DetectorEntry) -> Iterator[str]:
    """Yield reasons to distrust the score."""
    if file.num_segments < FEW_CLIPS:
        yield (
            f"Only {counted(file.num_segments, 'clip was', 'clips were')} evaluated, so the score "
            f"may be chance; evaluate at least {FEW_CLIPS}, or cross-validate with --folds 5."
        )
    if detector.config_name == _DEMO_DETECTOR and file.dataset != "demo":
        yield (
            "The objects are from the detector of the demo, which knows only the drawn dishes of "
            "its films; detect again with another --config."
        )


def _verdict(difference: Mapping[str, float | None]) -> str:
    """Return the comparison of one part alone with the model."""
    low, high = difference["low"], difference["high"]
    if low is None or high is None:
        return "no interval"
    if low <= 0 <= high:
        return "no clear difference"
    least, most = sorted((100 * abs(low), 100 * abs(high)))
    return f"{'better' if low > 0 else 'worse'} by {least:.1f} to {most:.1f} points"


def cell_title(measured: Measured, row: int, column: int) -> str:
    """Return the title of a cell of the confusion matrix."""
    name, predicted = truncate(measured.classes[row], 80), truncate(measured.columns()[column], 80)
    if not measured.single:
        return f"{name}: {predicted}"
    if row == column:
        return f"\u201c{name}\u201d predicted correctly"
    return f"\u201c{name}\u201d predicted as \u201c{predicted}\u201d"


def _most_confused(measured: Measured) -> list[int]:
    """Return the classes with the most mistakes, in order; all if they are few."""
    wrong_RC = measured.counts_RC()
    if measured.single:
        np.fill_diagonal(wrong_RC, 0)
        wrong_RC += wrong_RC.T
    wrong_A = wrong_RC.sum(axis=1) if measured.single else wrong_RC[:, 1:].sum(axis=1)
    return sorted(np.argsort(-wrong_A, kind="stable")[:_LARGEST_MATRIX].tolist())


def _related(run: EvaluatedRun, explained: Explanations) -> Iterator[tuple[str, int, str]]:
    """Yield activities with their number of clips and their most important pairs of classes."""
    classes = run.opened.detections.detector.class_names
    for activity, num_clips in explained.pairs.num_clips.most_common():
        pairs = [
            f"{truncate(classes[first], 40)} \u2013 {truncate(classes[second], 40)} {drop:.2f}"
            for first, second, drop in explained.pairs.ranked(activity)[:_LISTED_PAIRS]
            if drop >= LEAST_DROP
        ]
        name = truncate(run.model.classes[activity], 60)
        yield name, num_clips, ", ".join(pairs) or f"none above {LEAST_DROP}"


def _listed(measured: Measured, explained: Explanations) -> dict[str, Any]:
    """Return the cells of the confusion matrix and a bounded number of clips in them."""
    cells = measured.cells()
    most = min(max(_MOST_LISTED // max(len(cells), 1), 1), _MOST_IN_CELL)
    predicted_NA = measured.predicted_NA()

    def clip(row: int) -> list[str]:
        predicted = _chances(measured, row, np.flatnonzero(predicted_NA[row]).tolist())
        about = f"Predicted: {predicted or 'nothing'}"
        return [truncate(measured.predictions.ids[row]), truncate(about, 300)]

    rows = {row for in_cell in cells.values() for row in in_cell[:most]} | explained.strips.keys()
    rows |= {doubt.row for doubt in (explained.doubts or ())[:MOST_DOUBTS]}
    return {
        "clips": {row: clip(row) for row in sorted(rows)},
        "cells": {
            f"{row}-{column}": [cell_title(measured, row, column), len(in_cell), in_cell[:most]]
            for (row, column), in_cell in sorted(cells.items())
        },
    }


def _review(
    run: Path, measured: Measured, doubts: Sequence[Doubt] | None, paths: DataPaths
) -> dict[str, Any] | None:
    """Return the clips whose label is to be reviewed, with their indices, ids and classes as they
    are; None if labels cannot be reviewed."""
    if doubts is None:
        return None
    ids = measured.predictions.ids
    return {
        "key": f"orn {run.resolve().name} {json_digest(measured.file.made_from)}",
        "total": len(doubts),
        "several": not measured.single,
        "command": update_command(paths, "corrections.csv"),
        "classes": measured.classes if doubts else (),
        "clips": [
            {
                "row": doubt.row,
                "id": ids[doubt.row],
                "given": _chances(measured, doubt.row, doubt.given) or "none",
                "suggested": _chances(measured, doubt.row, doubt.suggested) or "none",
                "labels": doubt.suggested,
            }
            for doubt in doubts[:MOST_DOUBTS]
        ],
    }


def update_command(paths: DataPaths, corrections: str) -> str | None:
    """Return the command that applies a file of corrections; None if the labels are not in a table
    of the user."""
    manifest = load_manifest(paths.manifest)
    if not isinstance(manifest.labels, TableLabels):
        return None
    options = ["--corrections", corrections]
    table = paths.data_root / manifest.root / manifest.labels.table
    if has_usual_manifest(table, None):  # so has a copy of the manifest for a fold
        return shlex.join(["orn", "manifest", "update", os.path.relpath(table), *options])
    if data_root_of(manifest, None).resolve() != paths.data_root.resolve():
        options += ["--data", str(paths.data_root)]
    return shlex.join(["orn", "manifest", "update", paths.manifest, *options])


def _chances(measured: Measured, row: int, labels: Iterable[int]) -> str:
    """Return classes with their probabilities for a segment."""
    chance_A = measured.probability_NA[row]
    return ", ".join(
        f"{truncate(measured.classes[label], 60)} {100 * chance_A[label]:.0f} %" for label in labels
    )


def _initial_weights(config: RunConfig) -> str:
    digest, origin = config.weights_digest or "random weights", config.started_from
    if origin is None:
        return digest
    return (
        f"{counted(origin.num_loaded, 'tensor')} of {origin.run} ({origin.dataset}, step "
        f"{origin.step}), {digest}; newly initialized: {', '.join(origin.random)}"
    )


def _made(
    run: Path, runs: Sequence[EvaluatedRun], paths: DataPaths, file: EvalFile
) -> dict[str, Any]:
    """Return the contents of the section "How it was made"."""
    config = runs[0].model.config
    number = sum(len(run.joined.segments) for run in runs)
    split = "test" if file.split == FOLDS else file.split
    models = [evaluated.model for evaluated in runs]
    named = [(model, "" if model.path == run else f" of {model.path.name}") for model in models]
    return {
        "facts": [
            ("run", str(run)),
            ("data set", config.dataset.name),
            ("recipe", config.recipe_name),
            ("system", config.system or "from the recipe"),
            ("initial weights", _initial_weights(config)),
            ("detector of the training", config.detector.title),
            ("detector of this report", runs[0].opened.detections.detector.title),
            *((f"training{of}", _trained(model)) for model, of in named),
            (f"{split} segments", f"{number:,}, {file.num_skipped:,} more skipped"),
            ("intervals", file.drawn.as_text()),
            ("unsure labels", file.unsure_text() or "none"),
            ("shards", str(paths.shards)),
            ("clip store", str(paths.clips or "none: frames decoded from the videos")),
        ],
        "recipe": escape_lines(to_toml(config.recipe)[:20_000]),
    }


def _trained(model: OpenedModel) -> str:
    return f"{counted(model.config.dataset.num_train, 'segment')}, weights of step {model.step:,}"
