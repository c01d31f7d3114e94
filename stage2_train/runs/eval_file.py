"""Results of `orn eval` on a split: the file eval-SPLIT.json and the report."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orn.shared.config.fields import explain
from orn.shared.data_files import read_json
from orn.shared.errors import CheckpointError
from orn.shared.evaluation_names import HEADS
from orn.shared.manifests.records import Metric
from orn.shared.predictions import GroupKind
from orn.shared.text import counted
from orn.shared.text_report import Report, Table
from orn.stage2_train.settings.recipe import UnsureInEvaluation

UNSURE_NEGATIVE = "map_unsure_negative"
"""Metric in addition to a `map` that excludes unsure labels: mean average precision that counts
unsure labels as negative, as in the authors' code."""

_Metrics = dict[str, float | None]


class ClassRow(BaseModel):
    """Metrics of one class."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(alias="class")
    num_segments: int
    intervals: dict[str, tuple[float, float] | None]


class Figure(BaseModel):
    """Confidence interval of a metric; None if it is undefined."""

    model_config = ConfigDict(frozen=True)

    low: float | None
    high: float | None


class Draws(BaseModel):
    """Bootstrap draws for the confidence intervals."""

    model_config = ConfigDict(frozen=True)

    over: GroupKind
    num_groups: int
    """Number of groups that are drawn."""
    draws: int
    least_over: GroupKind | None = None
    """Groups over which an interval is drawn for its least width; None for those above."""

    def as_text(self) -> str:
        """Return a phrase such as `2,000 draws of 32 participants with replacement`."""
        groups = counted(self.num_groups, self.over.removesuffix("s"), self.over)
        least = f", at least as wide as over {self.least_over}" if self.least_over else ""
        return f"{self.draws:,} draws of {groups} with replacement{least}"


class EvalFile(BaseModel):
    """Contents of a file `eval-SPLIT.json`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    dataset: str
    split: str
    trained_on: bool
    """Whether the run was trained on the split."""
    step: int | None
    """Training step of the weights; None for a baseline."""
    num_segments: int
    num_skipped: int
    clips: int
    crops: int
    flip: bool
    frame_order: str
    metric: Metric
    num_unsure: int
    """Number of unsure labels."""
    unsure_in_evaluation: UnsureInEvaluation
    """Treatment of unsure labels in average precision."""
    chance: float
    by_head: dict[str, _Metrics]
    """Metrics of each of `HEADS`; in the file, each has a key of its own."""
    per_class: list[ClassRow]
    figures: dict[str, dict[str, Figure]]
    """Confidence intervals by head and metric."""
    drawn: Draws = Field(alias="interval")
    """Bootstrap draws for the intervals."""

    @model_validator(mode="before")
    @classmethod
    def _with_heads(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        return raw | {"by_head": {head: raw[head] for head in HEADS if head in raw}}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the activities, in the order of logits."""
        return tuple(row.name for row in self.per_class)

    def heads(self) -> dict[str, dict[str, float]]:
        """Return the defined metrics by head, starting with the prediction."""
        return {
            head: {name: value for name, value in figures.items() if value is not None}
            for head, figures in self.by_head.items()
        }

    def unsure_text(self) -> str | None:
        """Return a note on unsure labels in average precision; None if no label is unsure."""
        return unsure_text(self.num_unsure, self.unsure_in_evaluation)

    def interval(self, head: str, metric: str) -> tuple[float, float] | None:
        """Return the bounds of a metric's 95 % confidence interval, or None."""
        figure = self.figures.get(head, {}).get(metric)
        if figure is None or figure.low is None or figure.high is None:
            return None
        return figure.low, figure.high


def read_eval(path: Path) -> EvalFile:
    """Read a file `eval-SPLIT.json`.

    Raises:
        CheckpointError: if the file is missing or invalid.
    """
    try:
        return EvalFile.model_validate(read_json(path, error=CheckpointError))
    except ValidationError as err:
        raise CheckpointError(
            f"{path}: not a valid result file of `orn eval`: {explain(err, EvalFile)}; remove the "
            "file and run `orn eval` again"
        ) from err


def unsure_text(number: int, treated: UnsureInEvaluation) -> str | None:
    """Return a note on unsure labels in average precision; None if no label is unsure."""
    if not number:
        return None
    how = {
        "left_out": f"are excluded from average precision, but negative in {UNSURE_NEGATIVE}",
        "negative": "count as negative in average precision",
    }
    return f"unsure labels ({number:,}) {how[treated]}"


def report_json(report: dict[str, Any]) -> str:
    """Return the report as indented JSON, with one line per row of tables."""
    entries = []
    for name, value in report.items():
        if isinstance(value, list):
            text = "[\n    " + ",\n    ".join(map(_dumped, value)) + "\n  ]"
        else:
            text = _dumped(value, indent=2).replace("\n", "\n  ")
        entries.append(f'  "{name}": {text}')
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _dumped(value: Any, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, **options)


def as_report(report: dict[str, Any]) -> Report:
    """Return the report as a table, with a row per metric and a column per head, and notes."""
    crops = "" if report["crops"] == 1 else f" of {counted(report['crops'], 'crop')}"
    flips = ", each also flipped" if report["flip"] else ""
    seen = " (trained on)" if report["trained_on"] else ""
    step = "" if report["step"] is None else f", step {report['step']}"
    system = "" if report["system"] is None else f", system {report['system']}"
    made, heads = report["interval"], report["figures"]
    names = dict.fromkeys(name for head, own in heads.items() for name in [*report[head], *own])
    notes = [f"chance {report['chance']:.4f}"]
    if unsure := unsure_text(report["num_unsure"], report["unsure_in_evaluation"]):
        notes.append(unsure)
    if any(row["low"] is not None for own in heads.values() for row in own.values()):
        groups = counted(made["num_groups"], made["over"].removesuffix("s"), made["over"])
        least = f", at least as wide as over {made['least_over']}" if made["least_over"] else ""
        notes.append(f"{100 * made['confidence']:.0f} % intervals over {groups}{least}")
    return Report(
        title=f"{report['dataset']}, {report['split']}{seen}: "
        f"{counted(report['num_segments'], 'segment')}, "
        f"{counted(report['clips'], 'clip')}{crops} each{flips}{step}{system}",
        tables=[
            Table(
                header=("", *(head.replace("_", " ") for head in heads)),
                rows=[
                    (
                        name,
                        *(
                            _figure_text(report[head].get(name), heads[head].get(name))
                            for head in heads
                        ),
                    )
                    for name in names
                ],
            )
        ],
        notes=[f"{'; '.join(notes)}."],
    )


def _figure_text(value: Any, figure: dict[str, Any] | None) -> str:
    value = value if figure is None else figure["value"]
    if value is None:
        return "-"
    text = f"{value:.4f}" if isinstance(value, float) else f"{value}"
    if figure is None or figure["low"] is None:
        return text
    return f"{text} [{figure['low']:.4f}, {figure['high']:.4f}]"
