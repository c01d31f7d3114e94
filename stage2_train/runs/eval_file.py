"""What `orn eval` writes of a split: as it is kept, for people, and read again."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from orn.shared.config.bounded import read_json
from orn.shared.config.fields import explain
from orn.shared.errors import CheckpointError
from orn.shared.manifests.records import Metric
from orn.shared.report import Report, Table
from orn.shared.text import counted
from orn.stage2_train.clips.settings import UnsureInEvaluation
from orn.stage2_train.runs.run_folder import HEADS

UNSURE_NEGATIVE = "map_unsure_negative"
"""Figure beside a `map` that leaves out what annotators could not tell: the same with that as
negative, as the authors of the paper counted."""

GroupKind = Literal["videos", "participants"]
_Count = Annotated[int, Field(ge=0, strict=True)]
_Share = Annotated[float, Field(ge=0, le=1)]


class ClassRow(BaseModel):
    """What was measured of one class."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(alias="class")
    num_segments: _Count
    two_heads: _Share | None = None
    activity_head: _Share | None = None
    object_head: _Share | None = None
    intervals: dict[str, tuple[_Share, _Share] | None]


class Figure(BaseModel):
    """The interval of a figure; none where it could not be told."""

    model_config = ConfigDict(frozen=True)

    low: _Share | None
    high: _Share | None


class Draws(BaseModel):
    """What was drawn for the intervals."""

    model_config = ConfigDict(frozen=True)

    over: GroupKind
    num_groups: _Count
    """How many of these there are."""
    draws: _Count

    def as_text(self) -> str:
        """Return a phrase such as `2,000 draws of 32 participants with replacement`."""
        return f"{self.draws:,} draws of {self.num_groups:,} {self.over} with replacement"


class EvalFile(BaseModel):
    """What is read of an `eval-SPLIT.json`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    dataset: str
    split: str
    trained_on: StrictBool
    """Whether the run learned from the split."""
    checkpoint: str
    step: _Count
    num_segments: _Count
    num_skipped: _Count
    clips: _Count
    crops: _Count
    flip: StrictBool
    frame_order: str
    metric: Metric
    num_unsure: _Count
    """Labels that annotators could not tell."""
    unsure_in_evaluation: UnsureInEvaluation
    """What average precision does with them."""
    chance: _Share
    two_heads: dict[str, float | None] | None = None
    activity_head: dict[str, float | None] | None = None
    object_head: dict[str, float | None] | None = None
    per_class: list[ClassRow]
    figures: dict[str, dict[str, Figure]]
    """By head and name."""
    drawn: Draws = Field(alias="interval")
    """How intervals were made."""

    def heads(self) -> dict[str, dict[str, float]]:
        """Return the figures that are defined by head, that of the prediction first."""
        return {
            head: {name: value for name, value in figures.items() if value is not None}
            for head in HEADS
            if (figures := getattr(self, head)) is not None
        }

    def unsure_text(self) -> str | None:
        """What its average precision does with what annotators could not tell, if there is any."""
        return unsure_text(self.num_unsure, self.unsure_in_evaluation)

    def interval(self, head: str, metric: str) -> tuple[float, float] | None:
        """Ends of the 95 % interval that `orn eval` gives a figure; None where it has none."""
        figure = self.figures.get(head, {}).get(metric)
        if figure is None or figure.low is None or figure.high is None:
            return None
        return figure.low, figure.high


def read_eval(path: Path) -> EvalFile:
    """An `eval-SPLIT.json`.

    Raises:
        CheckpointError: if it is absent or damaged.
    """
    try:
        return EvalFile.model_validate(read_json(path, error=CheckpointError))
    except ValidationError as err:
        raise CheckpointError(
            f"{path}: wanted what `orn eval` writes, found {explain(err, EvalFile)}; remove it "
            "and measure again"
        ) from err


def unsure_text(number: int, treated: UnsureInEvaluation) -> str | None:
    """What average precision does with labels that annotators could not tell; None without any."""
    if not number:
        return None
    how = {
        "left_out": f"are left out of average precision, and negative in {UNSURE_NEGATIVE}",
        "negative": "count as negative in average precision",
    }
    return f"labels that annotators could not tell ({number:,}) {how[treated]}"


def report_json(report: dict[str, Any]) -> str:
    """The report as it is kept: indented, but tables of thousands of classes with a row a line."""
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
    """Return the report for people: a line a figure, a column a head, chance level below."""
    crops = "" if report["crops"] == 1 else f" of {counted(report['crops'], 'crop')}"
    flips = ", each also flipped" if report["flip"] else ""
    seen = " (trained on)" if report["trained_on"] else ""
    system = "" if report["system"] is None else f", system {report['system']}"
    made, heads = report["interval"], report["figures"]
    names = dict.fromkeys(name for head, own in heads.items() for name in [*report[head], *own])
    notes = [f"chance {report['chance']:.4f}"]
    if unsure := unsure_text(report["num_unsure"], report["unsure_in_evaluation"]):
        notes.append(unsure)
    if scales := report["head_scales"]:
        words = " and ".join(
            f"{head.replace('_', ' ')} {scale:.4g}" for head, scale in scales.items()
        )
        notes.append(f"logits multiplied by factors fitted on the validation split: {words}")
    if backwards := report.get("backwards"):
        notes.append(
            f"of {counted(backwards['num_segments'], 'segment')} whose class becomes another one "
            f"backwards, {backwards['mirrored']:.1%} are named as that one, "
            f"{backwards['original']:.1%} as their own"
        )
    notes.append(
        f"{100 * made['confidence']:.0f} % intervals over {made['num_groups']} {made['over']}"
    )
    return Report(
        title=f"{report['dataset']}, {report['split']}{seen}: "
        f"{counted(report['num_segments'], 'segment')}, "
        f"{counted(report['clips'], 'clip')}{crops} each{flips}, step {report['step']}{system}",
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
