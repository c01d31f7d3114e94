"""The metric of each system against something: a setting that one ablation varies, or what differs
between the reports of several, each of another world."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.config.bounded import read_json
from shared.config.fields import explain
from shared.errors import ConfigError
from shared.text_table import columns, markdown
from stage2_train.ablation.report import interval_text, rate_text

__all__ = ["curve_markdown", "curve_report", "curve_text", "joined_curve"]

_Key = TypeVar("_Key")
_THE_SAME = ("dataset", "split", "metric")
"""What the heading of a curve says once for all values."""


_Count = Annotated[int, Field(ge=0, lt=2**53)]
_Figure = Annotated[float, Field(ge=-1e9, le=1e9)]


class _Part(BaseModel):
    """Other fields are let through; figures are finite."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Figures(_Part):
    mean: _Figure
    half_width: _Figure | None
    num_seeds: _Count


class _SystemRow(_Figures):
    system: str
    clips_per_second: _Figure | None


class _Ordering(_Figures):
    better: str
    worse: str
    verdict: str


class _AblationReport(_Part):
    """What a report of `orn ablate` of one table has to hold to be joined with others."""

    dataset: str
    split: str
    metric: str
    num_segments: _Count
    chance: _Figure
    systems: list[_SystemRow] = Field(min_length=1)
    orderings: list[_Ordering]


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


def joined_curve(name: str, files: Mapping[str, Path]) -> dict[str, Any]:
    """The report of `curve_report` of the systems that all reports have.

    Args:
        name: of what differs between the reports.
        files: its value to the report of `orn ablate`, in the order to show them in.

    Raises:
        ConfigError: if one is no report, if they measure different things or with other numbers of
            seeds, or if no system is in all of them.
    """
    reports = {value: _read_report(path) for value, path in files.items()}
    _check_alike({path: reports[value] for value, path in files.items()})
    systems_of = [{row["system"]: row for row in report["systems"]} for report in reports.values()]
    pairs_of = [
        {(row["better"], row["worse"]): row for row in report["orderings"]}
        for report in reports.values()
    ]
    names = _in_all(systems_of)
    if not names:
        raise ConfigError(
            f"{', '.join(map(str, files.values()))}: wanted a system that is in all, found none"
        )
    wanted = [pair for pair in _in_all(pairs_of) if set(pair) <= set(names)]
    common: dict[str | None, dict[str, Any]] = {
        value: {
            **report,
            "systems": [systems[name] for name in names],
            "orderings": [pairs[pair] for pair in wanted],
        }
        for (value, report), systems, pairs in zip(
            reports.items(), systems_of, pairs_of, strict=True
        )
    }
    return curve_report(name, common)


def _in_all(tables: Sequence[Mapping[_Key, Any]]) -> list[_Key]:
    """The keys that all have, in the order of the first."""
    return [key for key in tables[0] if all(key in table for table in tables)]


def _read_report(path: Path) -> dict[str, Any]:
    """The report of one table that `orn ablate` wrote, without --vary.

    Raises:
        ConfigError: if the file is something else.
    """
    wanted = f"{path}: wanted the JSON report of `orn ablate`, table-TABLE-SPLIT.json"
    try:
        report = read_json(path)
    except ConfigError as error:
        raise ConfigError(f"{wanted}; {error}") from error
    if isinstance(report, dict) and "varied" in report:
        raise ConfigError(f"{wanted}, of one setting; found one in which a setting is varied")
    try:
        _AblationReport.model_validate(report)
    except ValidationError as error:
        raise ConfigError(f"{wanted}; {explain(error, _AblationReport)}") from error
    return dict(report)


def _check_alike(reports: Mapping[Path, Mapping[str, Any]]) -> None:
    """Raises ConfigError if a heading that is true of the first report is not true of another."""
    first_file, first = next(iter(reports.items()))
    wanted_seeds = first["systems"][0]["num_seeds"]
    for file, report in reports.items():
        for field in _THE_SAME:
            if report[field] != first[field]:
                raise ConfigError(
                    f"{file}: wanted the {field} {first[field]!r} as in {first_file}, found "
                    f"{report[field]!r}; a curve is of one {field}"
                )
        seeds = report["systems"][0]["num_seeds"]
        if seeds != wanted_seeds:
            raise ConfigError(
                f"{file}: wanted {wanted_seeds} seeds as in {first_file}, found {seeds}; a curve "
                "is of one number of seeds"
            )
