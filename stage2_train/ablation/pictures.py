"""Plots of ablation reports."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from orn.shared.jobs.atomic_file import replacing


def plot_report(report: Mapping[str, Any], path: Path, *, over_seconds: bool = False) -> None:
    """Plot means with 95 % intervals, chance (dashed line) and the highest floor (dotted line).

    Without a varied setting, each system has a row, in the order of the table, with a dot per seed.
    With a varied setting, each system has a curve over its values or over training time.

    Args:
        report: report from `ablation_report`.
        path: PNG file to write.
        over_seconds: whether curves are plotted against training time.
    """
    if report["varied"]:
        figure = Figure(figsize=(6.0, 3.8), layout="constrained")
        _plot_curves(report, figure.subplots(), over_seconds=over_seconds)
    else:
        figure = Figure(figsize=(7.5, 1.2 + 0.32 * len(report["systems"])), layout="constrained")
        _plot_systems(report, figure.subplots())
    with replacing(path) as temporary:  # omit date and version, for reproducible bytes
        FigureCanvasAgg(figure).print_png(str(temporary), metadata={"Software": None})


def _plot_systems(report: Mapping[str, Any], axes: Axes) -> None:
    rows = report["systems"]
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
    axes.axvline(report["systems"][0]["chance"], color="0.5", linestyle="--", linewidth=1)
    axes.axvline(_floor(report), color="0.5", linestyle=":", linewidth=1)
    axes.set_yticks(range(len(rows)), [row["system"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(f"{report['metric']}, percent ({report['dataset']}, {report['split']})")
    axes.grid(axis="x", linewidth=0.4)


def _plot_curves(report: Mapping[str, Any], axes: Axes, *, over_seconds: bool) -> None:
    values, variants = (
        report["values"],
        report["varied"] == "variant",
    )  # the values have no order, so draw no lines
    systems = list(dict.fromkeys(row["system"] for row in report["systems"]))
    for number, system in enumerate(systems):
        aside = (number - (len(systems) - 1) / 2) * 0.12 if variants else 0.0
        rows = [row for row in report["systems"] if row["system"] == system]
        places = [values.index(row["value"]) + aside for row in rows]
        if over_seconds:
            rows = [row for row in rows if row["seconds"] is not None]
            places = [row["seconds"] for row in rows]
        axes.errorbar(
            places,
            [row["mean"] for row in rows],
            yerr=[row["half_width"] or 0.0 for row in rows],
            marker="o",
            linestyle="none" if variants and not over_seconds else "-",
            markersize=4,
            capsize=3,
            label=system,
        )
    axes.axhline(report["systems"][0]["chance"], color="0.5", linestyle="--", linewidth=1)
    axes.axhline(_floor(report), color="0.5", linestyle=":", linewidth=1)
    if over_seconds:
        axes.set_xlim(left=0)
        axes.set_xlabel(f"training time in seconds ({report['varied']}: {', '.join(values)})")
    else:
        long = sum(map(len, values)) > 40
        axes.set_xticks(
            range(len(values)), values, rotation=30 if long else 0, ha="right" if long else "center"
        )
        axes.set_xlabel(report["varied"])
    axes.set_ylim(bottom=0)
    axes.set_ylabel(f"{report['metric']}, percent")
    axes.set_title(f"{report['dataset']}, {report['split']}", fontsize=10)
    axes.grid(linewidth=0.4)
    axes.legend(fontsize=8)


def _floor(report: Mapping[str, Any]) -> float:
    return max(float(row["floor"]) for row in report["systems"])
