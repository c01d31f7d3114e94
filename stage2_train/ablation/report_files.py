"""Reports of `orn ablate` and `orn curve` as files: JSON, Markdown, a picture."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from shared.jobs.atomic_file import replacing, write_text
from stage2_train.ablation.curve import curve_markdown, curve_text
from stage2_train.ablation.report import markdown_table, report_text

__all__ = ["ablation_text", "plot_curve", "plot_report", "write_report"]


def ablation_text(report: Mapping[str, Any]) -> str:
    """A report for people."""
    return curve_text(report) if "varied" in report else report_text(report)


def write_report(report: Mapping[str, Any], stem: Path) -> None:
    """The report as STEM.json, in Markdown as STEM.md and as a picture, STEM.png."""
    varied = "varied" in report
    write_text(Path(f"{stem}.json"), json.dumps(report, indent=2, allow_nan=False) + "\n")
    write_text(Path(f"{stem}.md"), curve_markdown(report) if varied else markdown_table(report))
    draw = plot_curve if varied else plot_report
    draw(report, Path(f"{stem}.png"))


def plot_report(report: Mapping[str, Any], path: Path) -> None:
    """Writes one line a system, in the order of the table, as a PNG picture.

    Dots are seeds, the bar is the mean with its 95 % interval, the dashed line is chance.

    Args:
        report: of `ablation_report`.
        path: the picture.
    """
    rows = report["systems"]
    figure = Figure(figsize=(7.5, 1.2 + 0.32 * len(rows)), layout="constrained")
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
    _save(figure, path)


def plot_curve(report: Mapping[str, Any], path: Path) -> None:
    """Writes one line a system with 95 % intervals, and chance as a dashed one, as a PNG picture.

    Args:
        report: of `curve_report`.
        path: the picture.
    """
    reports = [report["by_value"][value] for value in report["values"]]
    figure = Figure(figsize=(6.0, 3.8), layout="constrained")
    axes = figure.subplots()
    places = range(len(reports))
    for number, system in enumerate(reports[0]["systems"]):
        rows = [each["systems"][number] for each in reports]
        axes.errorbar(
            places,
            [row["mean"] for row in rows],
            yerr=[row["half_width"] or 0.0 for row in rows],
            marker="o",
            markersize=4,
            capsize=3,
            label=system["system"],
        )
    chances = [each["chance"] for each in reports]
    axes.plot(places, chances, color="0.5", linestyle="--", linewidth=1)
    axes.set_xticks(places, report["values"])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(report["varied"])
    axes.set_ylabel(f"{reports[0]['metric']}, percent")
    axes.set_title(f"{reports[0]['dataset']}, {reports[0]['split']}", fontsize=10)
    axes.grid(linewidth=0.4)
    axes.legend(fontsize=8)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    """Without date and version: the same report gives the same bytes."""
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary), metadata={"Software": None})
