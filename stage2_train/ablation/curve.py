"""The report of an ablation in which a setting is varied: the metric of each system against it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from shared.jobs.atomic_file import replacing
from shared.text_table import columns, markdown
from stage2_train.ablation.report import rate_text
from stage2_train.ablation.statistics import interval_text

__all__ = ["curve_markdown", "curve_report", "curve_text", "plot_curve"]

_SIZE_INCHES = (6.0, 3.8)


def curve_report(key: str, reports: Mapping[str | None, Mapping[str, Any]]) -> dict[str, Any]:
    """The reports of `ablation_report` by the value of a setting, as one.

    Args:
        key: name of the setting, such as data.clip_frames.
        reports: one a value, all of the same systems, in the order to show them in.
    """
    return {"varied": key, "values": list(reports), "by_value": dict(reports)}


def curve_text(report: Mapping[str, Any]) -> str:
    """The report for people."""
    reports = _reports(report)
    first = reports[0]
    head = (
        f"{first['dataset']}, {first['split']}: {first['metric']} in percent on "
        f"{_range_text([each['num_segments'] for each in reports], 'd')} segments against "
        f"{report['varied']}, chance {_range_text([each['chance'] for each in reports], '.1f')}; "
        f"mean over {first['systems'][0]['num_seeds']} seeds +- half of the 95 % interval"
    )
    return "\n\n".join([head, *(columns(cells) for cells in _tables(report))])


def curve_markdown(report: Mapping[str, Any]) -> str:
    """The tables of the report in Markdown: metrics, differences, clips a second of training."""
    return "\n\n".join(markdown(cells) for cells in _tables(report)) + "\n"


def plot_curve(report: Mapping[str, Any], path: Path) -> None:
    """Writes one line a system with 95 % intervals, and chance as a dashed one, as a PNG picture.

    Args:
        report: of `curve_report`.
        path: the picture.
    """
    reports = _reports(report)
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    places = range(len(reports))
    for number, name in enumerate(_names(reports[0])):
        rows = [each["systems"][number] for each in reports]
        axes.errorbar(
            places,
            [row["mean"] for row in rows],
            yerr=[row["half_width"] or 0.0 for row in rows],
            marker="o",
            markersize=4,
            capsize=3,
            label=name,
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
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary), metadata={"Software": None})


def _reports(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [report["by_value"][value] for value in report["values"]]


def _range_text(values: Sequence[float], style: str) -> str:
    """One number where all are the same, else the least and the largest."""
    least, largest = (format(value, style) for value in (min(values), max(values)))
    return least if least == largest else f"{least} to {largest}"


def _names(report: Mapping[str, Any]) -> list[str]:
    return [row["system"] for row in report["systems"]]


def _tables(report: Mapping[str, Any]) -> list[list[tuple[str, ...]]]:
    """Metrics; differences where some are expected; what training cost."""
    reports = _reports(report)
    names = _names(reports[0])
    pairs = [f"{row['better']} over {row['worse']}" for row in reports[0]["orderings"]]
    metrics = [[interval_text(row) for row in each["systems"]] for each in reports]
    differences = [
        [f"{interval_text(row)} ({row['verdict']})" for row in each["orderings"]]
        for each in reports
    ]
    rates = [[f"{rate_text(row)} clips/s" for row in each["systems"]] for each in reports]
    tables = [(names, metrics), (pairs, differences), (names, rates)]
    return [
        [
            (report["varied"], *header),
            *((value, *cells) for value, cells in zip(report["values"], rows, strict=True)),
        ]
        for header, rows in tables
        if header
    ]
