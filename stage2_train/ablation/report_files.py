"""Reports of `orn ablate` and `orn curve` as files: JSON, Markdown, a picture; and read again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.errors import ConfigError
from shared.jobs.atomic_file import write_text
from stage2_train.ablation.curve import curve_markdown, curve_text, plot_curve
from stage2_train.ablation.plot import plot_report
from stage2_train.ablation.report import markdown_table, report_text
from stage2_train.ablation.report_schema import AblationReport

__all__ = ["ablation_text", "read_report", "write_report"]


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


def read_report(path: Path) -> dict[str, Any]:
    """The report of one table that `orn ablate` wrote, without --vary.

    Raises:
        ConfigError: if the file is something else.
    """
    wanted = f"{path}: wanted the JSON report of `orn ablate`, table-TABLE-SPLIT.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{wanted}; {error}") from error
    if isinstance(report, dict) and "varied" in report:
        raise ConfigError(f"{wanted}, of one setting; found one in which a setting is varied")
    try:
        AblationReport.model_validate(report)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise ConfigError(f"{wanted}; {place}: {problem['msg']}") from error
    return dict(report)
