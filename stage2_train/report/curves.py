"""Training curves for a report."""

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from orn.shared.pages.render import Picture
from orn.shared.text import truncate
from orn.stage2_train.runs.run_folder import METRICS_NAME, finite_number, read_jsonl
from orn.stage2_train.settings.evaluation_names import HEADS

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "orn",  # the same file each time
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
}
_INCHES = (4.8, 3.5)
"""Size of a plot, which fills the width of a phone."""


def training_curves(run: Path, metric: str, chance: float) -> tuple[Picture, ...]:
    """Return the losses and the scores in the training log of a run; nothing if it has no log.

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
            lines.append(line | {field: str(record.get(field)) for field in ("group", "phase")})
    if not lines:
        return ()
    with matplotlib.rc_context(_SETTINGS):
        losses, scores = _losses(lines), _scores(lines, metric, chance)
    title = f"{_kind_of_scores(lines)} scores"
    return (_picture(losses, run, "training losses"), _picture(scores, run, title))


def _kind_of_scores(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return `validation`, or `training` if the run has no validation."""
    return "validation" if any(line["group"] == "validation" for line in lines) else "training"


def _picture(figure: Figure, run: Path, content: str) -> Picture:
    svg = io.BytesIO()
    with matplotlib.rc_context(_SETTINGS):
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(
        key=f"{content} of {run.name}",
        data=svg.getvalue(),
        media="image/svg+xml",
        alt=f"{content.capitalize()} of {truncate(run.name)}",
        rank=0,
    )


def _losses(lines: Sequence[Mapping[str, Any]]) -> Figure:
    figure, axes = _plots()
    trained = [line for line in lines if line["group"] == "train"]
    for name in ("loss", "activity_loss", "object_class_loss"):
        _plot(axes, trained, name, name.replace("_", " "))
    _finish(figure, lines, "training loss")
    return figure


def _scores(lines: Sequence[Mapping[str, Any]], metric: str, chance: float) -> Figure:
    figure, axes = _plots()
    trained = [line for line in lines if line["group"] == "train"]
    measured = [line for line in lines if line["group"] == "validation"]
    for head in HEADS:
        _plot(axes, measured, f"{head}_{metric}", head.replace("_", " "), marker="o")
    if not axes.lines:
        _plot(axes, measured, metric, metric, marker="o")
    _plot(axes, trained, "accuracy", "training accuracy", alpha=0.35)
    axes.axhline(chance, color="0.5", linestyle="--", linewidth=1, label="chance")
    axes.set_ylim(0, 1)
    _finish(figure, lines, f"{_kind_of_scores(lines)} {metric}")
    return figure


def _plots() -> tuple[Figure, Axes]:
    figure = Figure(figsize=_INCHES, layout="constrained")
    return figure, figure.subplots()


def _finish(figure: Figure, lines: Sequence[Mapping[str, Any]], title: str) -> None:
    """Mark the starts of phases, and write the legend below the plot, where it covers no curve."""
    (axes,) = figure.axes
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(linewidth=0.4)
    for before, line in pairwise(lines):
        if line["phase"] != before["phase"]:
            axes.axvline(before["step"], color="0.2", linestyle=":", linewidth=1.2)
            corner = (before["step"], 0.99)
            name = f" {line['phase'].replace('_', ' ')}"
            axes.text(*corner, name, transform=axes.get_xaxis_transform(), va="top", fontsize=8)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)


def _plot(
    axes: Axes, lines: Sequence[Mapping[str, Any]], name: str, label: str, **style: Any
) -> None:
    points = [(line["step"], line[name]) for line in lines if name in line]
    if any(value for _, value in points):  # a disabled loss is always zero
        axes.plot(*zip(*points, strict=True), label=label, markersize=3, linewidth=1.3, **style)
