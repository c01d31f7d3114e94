"""Plots for a report: training curves, and the confusion matrix of many classes. Text is never
parsed as math."""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from orn.shared.text import truncate
from orn.stage2_train.explanation.page_pictures import Picture

_LONGEST_NAME = 24
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "orn",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
}


def graph(key: str, draw: Callable[[], Figure], alt: str) -> Picture:
    """Return a figure as a picture of a page; the output is deterministic."""
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        svg = io.BytesIO()
        draw().savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(key=key, data=svg.getvalue(), media="image/svg+xml", alt=alt, rank=0)


def curves_figure(lines: Sequence[Mapping[str, Any]], metric: str, chance: float) -> Figure:
    """Plot the losses and scores in a training log, and mark the starts of phases.

    Args:
        lines: records of metrics.jsonl with finite numbers, `group` and `phase`.
        metric: name of the validation metric.
        chance: chance level of the metric.
    """
    figure = Figure(figsize=(9, 3.3), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    trained = [line for line in lines if line.get("group") == "train"]
    measured = [line for line in lines if line.get("group") == "validation"]
    for name in ("loss", "activity_loss", "object_class_loss"):
        _plot(losses, trained, name, name.replace("_", " "))
    for head in ("two_heads", "activity_head", "object_head"):
        _plot(scores, measured, f"{head}_{metric}", head.replace("_", " "), marker="o")
    if not scores.lines:
        _plot(scores, measured, metric, metric, marker="o")
    _plot(scores, trained, "accuracy", "training accuracy", alpha=0.35)
    scores.axhline(chance, color="0.5", linestyle="--", linewidth=1, label="chance")
    scores.set_ylim(0, 1)
    for axes, title in ((losses, "training loss"), (scores, f"validation {metric}")):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step")
        axes.grid(linewidth=0.4)
        for before, line in pairwise(lines):
            if line["phase"] != before["phase"]:
                axes.axvline(before["step"], color="0.2", linestyle=":", linewidth=1.2)
                place = (before["step"], 0.99)
                name = f" {line['phase'].replace('_', ' ')}"
                axes.text(*place, name, transform=axes.get_xaxis_transform(), va="top", fontsize=8)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, frameon=False)
    return figure


def _plot(
    axes: Axes, lines: Sequence[Mapping[str, Any]], name: str, label: str, **style: Any
) -> None:
    points = [(line["step"], line[name]) for line in lines if name in line]
    if any(value for _, value in points):  # a disabled loss is always zero
        axes.plot(*zip(*points, strict=True), label=label, markersize=3, linewidth=1.3, **style)


def confusion_figure(
    counts: NDArray[np.int64], classes: Sequence[str], columns: Sequence[str]
) -> Figure:
    """Plot a confusion matrix; the shade of a cell represents its fraction of the row."""
    rows = len(classes)
    side = min(max(3.5, 0.32 * rows), 24)
    figure = Figure(figsize=(side * len(columns) / rows + 3, side + 1.5), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    square = len(columns) == rows
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal" if square else "auto")
    if rows <= 40:
        for row, column in np.argwhere(counts).tolist():
            colour = "white" if shares[row, column] > 0.5 else "black"
            style: Any = {"ha": "center", "va": "center", "fontsize": 7, "color": colour}
            axes.text(column, row, str(counts[row, column]), **style)
    size = 8 if rows <= 40 else 4
    across, down = (
        [truncate(name, _LONGEST_NAME) for name in names] for names in (columns, classes)
    )
    axes.set_xticks(range(len(columns)), across, rotation=90, fontsize=size)
    axes.set_yticks(range(rows), down, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure
