"""Graphs of a report as matplotlib draws them: curves of a training, the confusion matrix, figure 4
of the paper. Every text stands as it is, none is read as a formula."""

import io
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from orn.shared.pages.palette import class_colour
from orn.shared.text_table import printable
from orn.stage2_train.insight.class_pairs import ClassPair
from orn.stage2_train.insight.explained import BACKGROUND

MEASURES: Mapping[str, tuple[str, Callable[[ClassPair], float]]] = {
    "num_pairs": ("how often they occur together", lambda pair: float(pair.num_pairs)),
    "activation": ("activation of h, per pair", lambda pair: pair.activation),
    "fall": ("fall of the logit, per pair", lambda pair: pair.fall),
}
"""Of a figure 4: heading of its graph, and how wide an edge is."""
_MOST_EDGES, _MOST_NODES = 10, 12
_LEAST_SHARE = 0.12
"""Of the widest edge's value; thinner ones are not drawn."""
_WIDEST = 8.0
_APART = 4.6
"""From the middle of one graph to that of the next, whose nodes lie at 1 around it."""
_LONGEST_NAME, _LONGEST_NODE = 24, 16
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "orn",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
}


def png_and_svg(draw: Callable[[], Figure]) -> tuple[bytes, bytes]:
    """A figure in both forms; the same bytes each time."""
    with _settings():
        figure, png, svg = draw(), io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", dpi=110, metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return png.getvalue(), svg.getvalue()


@contextmanager
def _settings() -> Iterator[None]:
    with matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def short(text: str, longest: int = _LONGEST_NAME) -> str:
    """A name as it fits into a figure."""
    text = printable(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}\u2026"


def curves_figure(lines: Sequence[Mapping[str, Any]], metric: str, chance: float) -> Figure:
    """Losses and scores of a training by its log.

    Args:
        lines: records of metrics.jsonl with finite numbers.
        metric: what validation measures.
        chance: level of guessing.
    """
    figure = Figure(figsize=(9, 3.3), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    trained = [line for line in lines if line.get("group") == "train"]
    for name in ("loss", "activity_loss", "object_class_loss"):
        _plot(losses, trained, name, name.replace("_", " "))
    measured = [line for line in lines if line.get("group") == "validation"]
    for head in ("two_heads", "activity_head", "object_head"):
        _plot(scores, measured, f"{head}_{metric}", head.replace("_", " "), marker="o")
    if not scores.lines:
        _plot(scores, measured, metric, metric, marker="o")
    _plot(scores, trained, "accuracy", "accuracy in training", alpha=0.35)
    scores.axhline(chance, color="0.5", linestyle="--", linewidth=1, label="chance")
    scores.set_ylim(0, 1)
    for axes, title in ((losses, "loss in training"), (scores, f"{metric} in validation")):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step")
        axes.grid(linewidth=0.4)
        if axes.lines:
            axes.legend(fontsize=8, frameon=False)
    return figure


def _plot(
    axes: Axes, lines: Sequence[Mapping[str, Any]], name: str, label: str, **style: Any
) -> None:
    points = [(line["step"], line[name]) for line in lines if name in line and "step" in line]
    if any(value for _, value in points):  # a loss that is off is zero throughout
        axes.plot(*zip(*points, strict=True), label=label, markersize=3, linewidth=1.3, **style)


def confusion_figure(
    counts: NDArray[np.int64], classes: Sequence[str], columns: Sequence[str]
) -> Figure:
    """A matrix of counts; the shade is the share of its row."""
    rows = len(classes)
    side = min(max(3.5, 0.32 * rows), 24)
    figure = Figure(figsize=(side * len(columns) / rows + 3, side + 1.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(
        counts / np.maximum(counts.sum(axis=1, keepdims=True), 1),
        cmap="Blues",
        vmin=0,
        vmax=1,
        aspect="auto" if len(columns) != rows else "equal",
    )
    if rows <= 40:
        for row, column in np.argwhere(counts).tolist():
            dark = counts[row, column] > counts[row].sum() / 2
            axes.text(
                column,
                row,
                str(counts[row, column]),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
    size = 8 if rows <= 40 else 4
    axes.set_xticks(range(len(columns)), list(map(short, columns)), rotation=90, fontsize=size)
    axes.set_yticks(range(rows), list(map(short, classes)), fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure


def graph_figure(pairs: Sequence[ClassPair], names: Sequence[str]) -> Figure:
    """Three graphs of the same classes of objects: how often two occur together, and how much one
    of their pairs counts, by activation and by fall."""
    figure = Figure(figsize=(12, 3.1))
    axes = figure.add_axes((0, 0, 1, 1))  # one for all three: each takes its time to lay out
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-_APART / 2, (len(MEASURES) - 0.5) * _APART)
    nodes = _nodes(pairs)
    angles = [math.pi / 2 - 2 * math.pi * place / max(len(nodes), 1) for place in range(len(nodes))]
    kept = [pair for pair in pairs if {pair.first, pair.second} <= set(nodes)]
    for number, (title, value) in enumerate(MEASURES.values()):
        middle = number * _APART
        places = {
            node: (middle + math.cos(angle), math.sin(angle))
            for node, angle in zip(nodes, angles, strict=True)
        }
        axes.text(middle, 1.85, title, ha="center", va="top", fontsize=11)
        _draw_edges(axes, _widest(kept, value), value, places, middle)
        for node, (x, y) in places.items():
            colour = tuple(part / 255 for part in class_colour(node))
            axes.add_patch(Circle((x, y), 0.085, facecolor=colour, edgecolor="black", zorder=3))
            aside = x - middle
            side = "left" if aside > 0.2 else "right" if aside < -0.2 else "center"
            level = "center" if side != "center" else "bottom" if y > 0 else "top"
            name, place = (
                short(node_name(node, names), _LONGEST_NODE),
                (middle + 1.28 * aside, 1.26 * y),
            )
            axes.text(*place, name, ha=side, va=level, fontsize=9.5, zorder=4)
    axes.set_ylim(-1.5, 1.7)
    return figure


def node_name(node: int, names: Sequence[str]) -> str:
    """Of a class of objects, or of the background."""
    return names[node] if node < len(names) else BACKGROUND


def strongest_words(drawn: Sequence[ClassPair], names: Sequence[str]) -> str:
    """What a graph shows, in words."""
    words = []
    for title, value in MEASURES.values():
        if drawn:
            pair = max(drawn, key=value)
            ends = node_name(pair.first, names), node_name(pair.second, names)
            words.append(f"{title}: {ends[0]} and {ends[1]}")
    return "Graphs of object classes. Widest edges: " + "; ".join(words)


def _widest(pairs: Sequence[ClassPair], value: Callable[[ClassPair], float]) -> list[ClassPair]:
    """The pairs that a graph draws, the widest first."""
    ordered = sorted(pairs, key=value, reverse=True)[:_MOST_EDGES]
    least = _LEAST_SHARE * max((value(pair) for pair in ordered), default=0.0)
    return [pair for pair in ordered if value(pair) > max(least, 0.0)]


def _nodes(pairs: Sequence[ClassPair]) -> list[int]:
    """Classes in any of the graphs, each graph's widest edges in turn, by number."""
    orders = [_widest(pairs, value) for _, value in MEASURES.values()]
    found: dict[int, None] = {}
    for place in range(_MOST_EDGES):
        for order in orders[::-1]:
            for pair in order[place : place + 1]:
                new = {pair.first, pair.second} - found.keys()
                if len(found) + len(new) <= _MOST_NODES:
                    found.update(dict.fromkeys(new))
    return sorted(found)


def _draw_edges(
    axes: Axes,
    pairs: Sequence[ClassPair],
    value: Callable[[ClassPair], float],
    places: Mapping[int, tuple[float, float]],
    middle: float,
) -> None:
    most = max(map(value, pairs), default=0.0)
    for number, pair in enumerate(pairs):
        width = _WIDEST * value(pair) / most
        style: dict[str, Any] = {"linewidth": width, "zorder": 2 if number == 0 else 1}
        colour = "#0b5cad" if number == 0 else "#5c6670"
        x, y = places[pair.first]
        if pair.first == pair.second:
            centre = (middle + 1.1 * (x - middle), 1.1 * y)
            axes.add_patch(Circle(centre, 0.13, fill=False, edgecolor=colour, **style))
        else:
            others = places[pair.second]
            axes.plot([x, others[0]], [y, others[1]], color=colour, solid_capstyle="round", **style)
