"""Reports of several ablations, each of another world or setting, as one curve."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.errors import ConfigError
from stage2_train.ablation.curve import curve_report
from stage2_train.ablation.report_files import read_report

__all__ = ["joined_curve"]


def joined_curve(name: str, files: Mapping[str, Path]) -> dict[str, Any]:
    """The report of `curve_report` of the systems that all reports have.

    Args:
        name: of what differs between the reports.
        files: its value to the report of `orn ablate`, in the order to show them in.

    Raises:
        ConfigError: if one is no report, if they measure different things, or if no system is in
            all of them.
    """
    reports = {value: read_report(path) for value, path in files.items()}
    first_file, first = next(zip(files.values(), reports.values(), strict=True))
    for file, report in zip(files.values(), reports.values(), strict=True):
        for field in ("dataset", "split", "metric"):
            if report[field] != first[field]:
                raise ConfigError(
                    f"{file}: wanted the {field} {first[field]!r} as in {first_file}, found "
                    f"{report[field]!r}; a curve is of one {field}"
                )
    shared = [
        row["system"]
        for row in first["systems"]
        if all(_has(report, row["system"]) for report in reports.values())
    ]
    if not shared:
        raise ConfigError(
            f"{', '.join(map(str, files.values()))}: wanted a system that is in all, found none"
        )
    return curve_report(name, {value: _only(report, shared) for value, report in reports.items()})


def _has(report: Mapping[str, Any], system: str) -> bool:
    return any(row["system"] == system for row in report["systems"])


def _only(report: Mapping[str, Any], systems: list[str]) -> dict[str, Any]:
    """The report of these systems, in this order, and of the orderings among them."""
    by_name = {row["system"]: row for row in report["systems"]}
    return {
        **report,
        "systems": [by_name[name] for name in systems],
        "orderings": [
            row
            for row in report["orderings"]
            if row["better"] in systems and row["worse"] in systems
        ],
    }
