"""Training curves for a report."""

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orn.shared.pages.fitted_page import Picture
from orn.shared.text import truncate
from orn.stage2_train.runs.run_folder import METRICS_NAME, finite_number, read_jsonl

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "orn",  # the same file each time
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
}


def training_curves(run: Path, metric: str, chance: float) -> Picture | None:
    """Return the losses and scores in the training log of a run; None if it has no log.

    Args:
        run: run folder.
        metric: name of the validation metric.
        chance: chance level of the metric.
    """
    lines = []
    for record in read_jsonl(run / METRICS_NAME):
        numbers = {name: finite_number(record, name) for name in record}
        line: dict[str, Any] = {name: v for name, v in numbers.items() if v is not None}
        if "step" in line:
            lines.append(line | {each: str(record.get(each)) for each in ("group", "phase")})
    if not lines:
        return None
    svg = io.BytesIO()
    with matplotlib.rc_context(_SETTINGS):
        figure = _draw(lines, metric, chance)
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(
        key=f"training-{run.name}",
        data=svg.getvalue(),
        media="image/svg+xml",
        alt=f"Training curves of {truncate(run.name)}: losses and validation scores",
        rank=0,
    )


def _draw(lines: Sequence[Mapping[str, Any]], metric: str, chance: float) -> Figure:
    """Plot losses and scores, and mark the starts of phases."""
    figure = Figure(figsize=(9, 3.3), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    trained = [line for line in lines if line["group"] == "train"]
    measured = [line for line in lines if line["group"] == "validation"]
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
        axes.xaxis.get_major_locator().set_params(integer=True)
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
