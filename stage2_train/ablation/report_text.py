"""The report of an ablation for people: the paper's table beside ours, contrasts, verdicts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orn.shared.report import Report, Table, filled_columns

_Columns = dict[str, Callable[[Mapping[str, Any]], str]]
"""What a cell says of a row, by the column's name."""


def interval_text(figures: Mapping[str, Any]) -> str:
    """The mean and half of the interval, where there is one, of an `Interval` as JSON."""
    mean, half_width = figures["mean"], figures["half_width"]
    return f"{mean:.1f}" if half_width is None else f"{mean:.1f} +- {half_width:.1f}"


def as_report(report: Mapping[str, Any]) -> Report:
    """Return the report for people."""
    notes = [f"floor {_range(report, 'floor', '.1f')}"]
    if report["varied"]:
        notes.append(f"against {report['varied']}")
    for name, words in (("commits", "COMMITS"), ("threads", "NUMBERS OF THREADS")):
        if len(report[name]) > 1:
            notes.append(f"RUNS OF DIFFERENT {words}: {', '.join(report[name])}")
    chosen = report.get("searched")
    if chosen and report["split"] != "test":
        notes.append(f"{chosen} was chosen on this split")
    segments, chance = _range(report, "num_segments", "d"), _range(report, "chance", ".1f")
    return Report(
        title=f"{report['dataset']}, {report['split']}: {report['metric']} in percent on "
        f"{segments} segments, chance {chance}, {'; '.join(notes)}; "
        "mean over seeds +- half of the 95 % interval",
        tables=_tables(report),
    )


def _range(report: Mapping[str, Any], figure: str, style: str) -> str:
    """One number where it is that of all systems, else the least and the largest."""
    values = [row[figure] for row in report["systems"]]
    least, largest = (format(value, style) for value in (min(values), max(values)))
    return least if least == largest else f"{least} to {largest}"


def _tables(report: Mapping[str, Any]) -> list[Table]:
    """The systems, and the contrasts where there are any."""
    systems: _Columns = {
        report["varied"] or "": lambda row: row["value"],
        "system": lambda row: row["system"],
        "paper epic": lambda row: row["paper"].get("epic", ""),
        "paper vlog": lambda row: row["paper"].get("vlog", ""),
        "paper something": lambda row: row["paper"].get("something", ""),
        report["dataset"]: interval_text,
        "seeds": lambda row: str(row["num_seeds"]),
        "activity head": lambda row: _head(row, "activity_head"),
        "object head": lambda row: _head(row, "object_head"),
        "last loss": lambda row: _number(row["last_loss"], ".2f"),
        "seconds": lambda row: _number(row["seconds"]),
        "clips/s": lambda row: _number(row["clips_per_second"]),
        "parameters": lambda row: _number(row["parameters"]),
        " ": lambda row: ", ".join(filter(None, (row["why_not_learned"], row["title"]))),
    }
    contrasts: _Columns = {
        report["varied"] or "": lambda row: row["value"],
        "contrast": lambda row: row["kind"],
        "expected": lambda row: row["better"],
        "over": lambda row: row["worse"],
        "difference": interval_text,
        "films, too": lambda row: _number(row["bootstrap_half_width"], "+- .1f"),
        "p": lambda row: _number(row["p_value"], ".3f").replace("0.000", "<0.001"),
        " ": lambda row: row["verdict"] + "".join(f", {side}" for side in row["not_learned"]),
    }
    tables = ((systems, report["systems"]), (contrasts, report["orderings"]))
    return [_table(cells, rows) for cells, rows in tables if rows]


def _table(cells: _Columns, rows: Sequence[Mapping[str, Any]]) -> Table:
    """A header and the rows, without columns that say nothing."""
    return filled_columns(
        Table(
            header=tuple(name.strip() for name in cells),
            rows=[[cell(row) or "-" for cell in cells.values()] for row in rows],
        )
    )


def _head(row: Mapping[str, Any], head: str) -> str:
    """The score of one of two heads."""
    several = row["heads"] if len(row["heads"]) > 1 else {}
    return interval_text(several[head]) if head in several else ""


def _number(value: float | None, style: str = ",.0f") -> str:
    sign, _, style = style.rpartition(" ")
    return "" if value is None else " ".join(filter(None, (sign, format(value, style))))
