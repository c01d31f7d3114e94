"""Reports of several ablations, each of another world or setting, as one curve."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import ConfigError
from stage2_train.ablation.curve import curve_report
from stage2_train.ablation.report_files import read_report

__all__ = ["joined_curve"]

_Key = TypeVar("_Key")
_THE_SAME = ("dataset", "split", "metric")
"""What the heading of a curve says once for all values."""


def joined_curve(name: str, files: Mapping[str, Path]) -> dict[str, Any]:
    """The report of `curve_report` of the systems that all reports have.

    Args:
        name: of what differs between the reports.
        files: its value to the report of `orn ablate`, in the order to show them in.

    Raises:
        ConfigError: if one is no report, if they measure different things or with other numbers of
            seeds, or if no system is in all of them.
    """
    reports = {value: read_report(path) for value, path in files.items()}
    _check_alike({path: reports[value] for value, path in files.items()})
    systems = _in_all([_by_system(report) for report in reports.values()])
    if not systems:
        raise ConfigError(
            f"{', '.join(map(str, files.values()))}: wanted a system that is in all, found none"
        )
    pairs = [
        pair
        for pair in _in_all([_by_pair(report) for report in reports.values()])
        if set(pair) <= set(systems)
    ]
    return curve_report(
        name, {value: _only(report, systems, pairs) for value, report in reports.items()}
    )


def _check_alike(reports: Mapping[Path, Mapping[str, Any]]) -> None:
    """Raises ConfigError if a heading that is true of the first report is not true of another."""
    first_file, first = next(iter(reports.items()))
    for file, report in reports.items():
        for field in _THE_SAME:
            if report[field] != first[field]:
                raise ConfigError(
                    f"{file}: wanted the {field} {first[field]!r} as in {first_file}, found "
                    f"{report[field]!r}; a curve is of one {field}"
                )
        seeds, wanted = _num_seeds(report), _num_seeds(first)
        if seeds != wanted:
            raise ConfigError(
                f"{file}: wanted {wanted} seeds as in {first_file}, found {seeds}; a curve is of "
                "one number of seeds"
            )


def _num_seeds(report: Mapping[str, Any]) -> int:
    return int(report["systems"][0]["num_seeds"])


def _by_system(report: Mapping[str, Any]) -> dict[str, Any]:
    return {row["system"]: row for row in report["systems"]}


def _by_pair(report: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    return {(row["better"], row["worse"]): row for row in report["orderings"]}


def _in_all(tables: Sequence[Mapping[_Key, Any]]) -> list[_Key]:
    """The keys that all have, in the order of the first."""
    return [key for key in tables[0] if all(key in table for table in tables)]


def _only(
    report: Mapping[str, Any], systems: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """The report of these systems and of these orderings, in this order."""
    by_system, by_pair = _by_system(report), _by_pair(report)
    return {
        **report,
        "systems": [by_system[name] for name in systems],
        "orderings": [by_pair[pair] for pair in pairs],
    }
