"""The view model of `report.html`."""

import shlex
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orn.shared.config.bounded import file_digest
from orn.shared.config.files import to_toml
from orn.shared.errors import CheckpointError
from orn.shared.manifests.records import Segment
from orn.shared.pages.render import render
from orn.shared.text import counted, escape_lines, truncate
from orn.stage2_train.clips.objects import BACKGROUND
from orn.stage2_train.explanation.class_pairs import ClassPairs, Example
from orn.stage2_train.explanation.measured import Measured, Mistake
from orn.stage2_train.explanation.page_pictures import Picture, fitted_page, strip_data
from orn.stage2_train.explanation.paper_table1 import TABLE_1, TABLE_1_MAP
from orn.stage2_train.explanation.report_files import BARS
from orn.stage2_train.explanation.scale import FULL_DROP, LEAST_DROP
from orn.stage2_train.runs.run_config import DataPaths, RunConfig, segments_digest
from orn.stage2_train.runs.run_folder import BEST_NAME, STARTS_NAME, read_jsonl
from orn.stage2_train.runs.trained import OpenedModel

Place = tuple[int, int]
"""Index of a segment, and a class."""
_HEADS = {
    "two_heads": "both heads",
    "activity_head": "the activity head alone",
    "object_head": "the object head alone",
}
_WORST = 3
_LARGEST_MATRIX = 40
"""Maximum number of classes for which the confusion matrix is a table of buttons."""
_LISTED_CONFUSIONS = 60
_LEAST_SEGMENTS = 5
"""Minimum number of segments for a class to be reported as the weakest."""
_MOST_IN_CELL = 200
_MOST_LISTED = 10_000
"""Maximum number of clips listed for all cells; each cell lists at least one."""
_SHOWN_STARTS, _SHOWN_COMMANDS = 20, 3
"""Numbers of most recent starts and commands that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A clip and a class in figure 5 or 6."""

    row: int
    """Index of the segment."""
    id: str
    picture: Picture
    predicted: str
    """Predicted class, or `not` followed by a class that is not predicted."""
    chance: float
    """Probability of the prediction."""
    is_right: bool
    true: str
    """True classes."""
    why: str
    """Effect of the strongest pair; empty if the network does not relate objects."""
    decided: str
    """Head that determined the prediction; empty with a single head."""
    seen: str
    """Detected classes with their highest scores."""


@dataclass(slots=True, kw_only=True)
class Explanations:
    """Explanations of the clips in a report."""

    pairs: ClassPairs
    names: tuple[str, ...]
    """Names of the detector's classes."""
    right: list[Place]
    """Clips in figure 5."""
    mistakes: dict[tuple[int, int], list[Mistake]]
    """Clips in figure 6, by cell of the confusion matrix, the largest cell first."""
    size: int = 0
    """Number of objects in a clique; 0 if the network does not relate objects."""
    cases: dict[Place, Case] = field(default_factory=dict)
    strips: dict[int, Picture] = field(default_factory=dict)
    """Clips to play, by segment."""
    links: dict[int, str] = field(default_factory=dict)
    """URLs in the pages of shards, by segment; empty without such a page."""


def report_page(
    model: OpenedModel,
    measured: Measured,
    found: Explanations,
    *,
    paths: DataPaths,
    detector: str,
    segments: tuple[Segment, ...],
    asked: bool,
    curves: Picture | None,
    confusion: Picture,
    largest_bytes: int,
) -> str:
    """Return the report page of a run.

    Args:
        model: the run.
        measured: results of `orn eval`.
        found: explanations of its clips.
        paths: paths of the data.
        detector: detector of the shards.
        segments: the evaluated segments.
        asked: whether the clips in figure 5 were requested.
        curves: training curves.
        confusion: plot of the confusion matrix.
        largest_bytes: maximum size of the page.

    Raises:
        PipelineError: if the page exceeds this size even without pictures.
    """
    counts_RC = measured.counts_RC()
    is_large = len(measured.classes) > _LARGEST_MATRIX
    groups = [
        {
            "title": cell_title(measured, *cell),
            "count": int(counts_RC[cell]),
            "total": measured.file.per_class[cell[0]].num_segments,
            "is_missed": cell[1] < 2,
            "cases": [found.cases[each.row, each.activity] for each in some],
        }
        for cell, some in found.mistakes.items()
    ]
    view = {
        "title": model.path.resolve().name,
        "config": model.config,
        "measured": measured,
        "file": measured.file,
        "answer": answer(measured),
        "worst": groups[:_WORST],
        "groups": groups,
        "num_mistakes": len(measured.mistakes()),
        "right": [found.cases[place] for place in found.right],
        "asked": asked,
        "counts": None if is_large else counts_RC.tolist(),
        "confusion": confusion,
        "confusions": list(_confusions(measured)) if is_large else [],
        "curves": curves,
        "paper": _paper(measured),
        "figure4": list(_figure4(measured, found)) if found.size == 2 else [],
        "size": found.size,
        "explanations": counted(int(found.pairs.num_clips_A.sum()), "explanation"),
        "scale": (LEAST_DROP, FULL_DROP),
        "made": _made(model, paths, measured, detector, segments),
    }
    strips = list(found.strips.values())
    cells, listed = _listed(measured, found)

    def page(held: Set[str]) -> str:
        data = {**listed, "cells": cells, "strips": strip_data(strips, held)}
        template = "orn.stage2_train.explanation/report.html"
        return render(template, **view, held=held, data=data)

    cases = [case.picture for case in found.cases.values()]
    pictures = [*strips, *cases, *([confusion] if is_large else []), *([curves] if curves else [])]
    return fitted_page(page, pictures, largest_bytes=largest_bytes, kind="report")


def answer(measured: Measured) -> dict[str, Any]:
    """Return the values for the first paragraph of a report."""
    file, metric = measured.file, measured.file.metric
    scores = {head: figures[metric] for head, figures in file.heads().items()}
    head, *others = scores
    interval = file.interval(head, metric)
    whole = file.drawn.over == "videos" and file.drawn.num_groups == file.num_segments
    weak = [
        (value, place)
        for place, row in enumerate(file.per_class)
        if row.num_segments >= _LEAST_SEGMENTS and (value := getattr(row, head)) is not None
    ]
    found: dict[str, Any] = {
        "score": scores[head],
        "interval": interval,
        "metric": "top-1 accuracy" if metric == "top1" else "mean average precision",
        "head": _HEADS[head],
        "number": counted(file.num_segments, "video" if whole else "segment"),
        "others": [(_HEADS[each], scores[each]) for each in others],
        "better": None,
        "weakest": None,
    }
    if others and max(scores.values()) > scores[head]:
        best = max(scores, key=scores.__getitem__)
        is_within = interval is not None and interval[0] <= scores[best] <= interval[1]
        found["better"] = {"name": _HEADS[best], "score": scores[best], "is_within": is_within}
    if weak and len(file.per_class) > 1:
        value, place = min(weak)
        row = measured.counts_RC()[place].copy()
        row[place if measured.single else 0] = -1
        column = int(row[: len(row) if measured.single else 2].argmax())
        found["weakest"] = {
            "name": measured.classes[place],
            "score": value,
            "count": int(row[column]),
            "total": file.per_class[place].num_segments,
            "as": measured.columns()[column],
        }
    return found


def cell_title(measured: Measured, row: int, column: int) -> str:
    """Return the title of a cell of the confusion matrix."""
    name, predicted = truncate(measured.classes[row], 80), truncate(measured.columns()[column], 80)
    if not measured.single:
        return f"{name}: {predicted}"
    if row == column:
        return f"\u201c{name}\u201d predicted correctly"
    return f"\u201c{name}\u201d predicted as \u201c{predicted}\u201d"


def _confusions(measured: Measured) -> Iterator[tuple[str, str, str, int]]:
    """Yield the names, cell and count of the largest confusions."""
    counts_RC, classes, columns = measured.counts_RC(), measured.classes, measured.columns()
    places = [
        (int(counts_RC[row, column]), row, column)
        for row, column in np.argwhere(counts_RC).tolist()
        if row != column or not measured.single
    ]
    for count, row, column in sorted(places, key=lambda each: -each[0])[:_LISTED_CONFUSIONS]:
        yield classes[row], columns[column], f"{row}-{column}", count


def _paper(measured: Measured) -> dict[str, tuple[float, dict[str, float]]]:
    """Return the mean and class values of each column of the paper's Table 1, for VLOG."""
    if measured.file.dataset != "vlog":
        return {}
    return {name: (TABLE_1_MAP[name], values) for name, values in TABLE_1.items()}


def _figure4(measured: Measured, found: Explanations) -> Iterator[dict[str, Any]]:
    """Yield activities with their strongest pairs of classes, by decreasing number of clips."""
    names = [truncate(each, 40) for each in (*found.names, BACKGROUND)]
    for activity in found.pairs.most_seen():
        ranked = found.pairs.ranked(activity)
        shown = [each for each in ranked[:BARS] if each.strongest >= LEAST_DROP]
        yield {
            "name": measured.classes[activity],
            "num_clips": int(found.pairs.num_clips_A[activity]),
            "bars": [
                {
                    "pair": f"{names[each.first]} \u2013 {names[each.second]}",
                    "drop": each.strongest,
                    "share": 100 * min(each.strongest / FULL_DROP, 1.0),
                    "num_pairs": each.num_pairs,
                    "num_clips": each.num_clips,
                    "example": _example(each.example, measured),
                }
                for each in shown
            ],
        }


def _example(example: Example, measured: Measured) -> dict[str, Any]:
    """Return the location of a pair in its clip."""
    return {
        "row": example.row,
        "id": measured.predictions.ids[example.row],
        "drop": example.drop,
        "parts": [
            (frame, " ".join(f"{each:.3f}" for each in box))
            for frame, box in zip(example.frames, example.boxes, strict=True)
        ],
    }


def _listed(measured: Measured, found: Explanations) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the cells of the confusion matrix and a bounded number of clips in them."""
    cells = measured.cells()
    most = min(max(_MOST_LISTED // max(len(cells), 1), 1), _MOST_IN_CELL)
    probability_NA, predicted_NA = measured.probability_NA, measured.predicted_NA()

    def clip(row: int) -> list[str]:
        predicted = [
            f"{truncate(measured.classes[each], 60)} {100 * probability_NA[row, each]:.0f} %"
            for each in np.flatnonzero(predicted_NA[row])
        ]
        about = f"Predicted: {', '.join(predicted) or 'nothing'}"
        return [
            truncate(measured.predictions.ids[row]),
            truncate(about, 300),
            found.links.get(row, ""),
        ]

    rows = {row for some in cells.values() for row in some[:most]} | found.strips.keys()
    clips = {row: clip(row) for row in sorted(rows)}
    listed = {
        f"{row}-{column}": [cell_title(measured, row, column), len(some), some[:most]]
        for (row, column), some in sorted(cells.items())
    }
    return listed, {"clips": clips}


def _initial_weights(config: RunConfig) -> str:
    digest, origin = config.weights_digest or "random weights", config.started_from
    if origin is None:
        return digest
    return (
        f"{counted(origin.num_loaded, 'tensor')} of {origin.run} ({origin.dataset}, step "
        f"{origin.step}), {digest}; newly initialized: {', '.join(origin.random)}"
    )


def _made(
    model: OpenedModel,
    paths: DataPaths,
    measured: Measured,
    detector: str,
    segments: tuple[Segment, ...],
) -> dict[str, Any]:
    """Return the contents of the section "How it was made"."""
    run, config, weights = model.path, model.config, model.path / BEST_NAME
    starts = read_jsonl(run / STARTS_NAME)[-_SHOWN_STARTS:]
    digest = file_digest(weights, error=CheckpointError)
    facts = [
        ("run", str(run)),
        ("data set", config.dataset.name),
        ("recipe", config.recipe_name),
        ("system", config.system or "from the recipe"),
        ("weights", f"{weights.name}, step {model.step}, {digest}"),
        ("initial weights", _initial_weights(config)),
        ("detector of the training", config.detector.title),
        ("detector of this report", detector),
        ("training segments", f"{config.dataset.num_train}, {config.dataset.train_digest}"),
        (f"{measured.file.split} segments", f"{len(segments)}, {segments_digest(segments)}"),
        ("shards", str(paths.shards)),
        ("clip store", str(paths.clips or "none: frames decoded from the videos")),
    ]
    for start in starts[-_SHOWN_COMMANDS:]:
        command = start.get("command")
        if isinstance(command, list) and command:
            facts.append(("command", shlex.join(["orn", *map(str, command[1:])])))
    columns = ("time", "commit", "threads", "platform")
    return {
        "facts": facts,
        "columns": columns,
        "starts": [[str(each.get(name, "")) for name in columns] for each in starts],
        "recipe": escape_lines(to_toml(config.recipe)[:20_000]),
    }
