"""The report of an ablation as a picture: every seed, means, intervals, chance."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from shared.jobs.atomic_file import replacing

__all__ = ["plot_report"]

_ROW_INCHES = 0.32
_WIDTH_INCHES = 7.5


def plot_report(report: Mapping[str, Any], path: Path) -> None:
    """Writes one line a system, in the order of the table, as a PNG picture.

    Dots are seeds, the bar is the mean with its 95 % interval, the dashed line is chance.

    Args:
        report: of `ablation_report`.
        path: the picture.
    """
    rows = report["systems"]
    figure = Figure(figsize=(_WIDTH_INCHES, 1.2 + _ROW_INCHES * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        seeds = list(row["percent_by_seed"].values())
        axes.plot(seeds, [place] * len(seeds), "o", color="0.65", markersize=4)
        axes.errorbar(
            row["mean"],
            place,
            xerr=row["half_width"],
            fmt="|",
            color="C0",
            capsize=3,
            markersize=11,
        )
    axes.axvline(report["chance"], color="0.5", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(rows)), [row["system"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{report['metric']}, percent ({report['dataset']}, {report['split']})")
    axes.grid(axis="x", linewidth=0.4)
    with replacing(path) as temporary:
        # No date and version in the file: the same report gives the same bytes.
        FigureCanvasAgg(figure).print_png(str(temporary), metadata={"Software": None})
