"""Results of `orn eval` on a split: the file eval-SPLIT.json and the summary."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from orn.data_manifests.records import Metric
from orn.shared.config.fields import problems_of
from orn.shared.data_files import json_digest, read_json
from orn.shared.errors import CheckpointError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.text import counted, path_text, truncate
from orn.shared.text_summary import Summary, Table
from orn.stage2_train.parts.temperatures import meaning_of_percentages
from orn.stage2_train.runs.film_results import Figure, FilmResults
from orn.stage2_train.runs.saved_predictions import GroupKind
from orn.stage2_train.settings.names import CHANGES, HEADLINE, HEADS

UNSURE_NEGATIVE = "map_unsure_negative"
"""Metric in addition to a `map` that excludes unsure labels: mean average precision that counts
unsure labels as negative, as in the authors' code."""

_DIGEST = "digest"
_FEW_CLIPS = 30
"""Number of clips below which neither a plot nor a comparison of changed clips says anything."""
_Metrics = dict[str, int | float | None]


class ClassRow(BaseModel, frozen=True, extra="allow"):
    """Metrics of one class, also by head."""

    __pydantic_extra__: dict[str, float | None]

    name: str = Field(alias="class")
    num_segments: int
    intervals: dict[str, tuple[float, float] | None]


class Draws(BaseModel, frozen=True):
    """Bootstrap draws for the confidence intervals."""

    confidence: float
    over: GroupKind
    num_groups: int
    """Number of groups that are drawn."""
    draws: int
    least_over: GroupKind | None = None
    """Groups over which an interval is drawn for its least width; None for those above."""

    def groups_text(self) -> str:
        """Return a phrase such as `32 participants, at least as wide as over videos`."""
        groups = counted(self.num_groups, self.over.removesuffix("s"), self.over)
        least = f", at least as wide as over {self.least_over}" if self.least_over else ""
        return f"{groups}{least}"

    def as_text(self) -> str:
        """Return a phrase such as `2,000 draws with replacement of 32 participants`."""
        return f"{self.draws:,} draws with replacement of {self.groups_text()}"


class Bin(BaseModel, frozen=True):
    """The segments whose confidence is in one of ten ranges of equal width."""

    num_segments: int
    confidence: float
    """Mean probability of the predicted class."""
    accuracy: float


class Calibration(BaseModel, frozen=True):
    """Whether the predicted probabilities are as often right as they say."""

    fitted_on: str
    """Description of the segments on which the temperatures were fitted; empty if none were."""
    log_loss: Figure
    """In nats."""
    error: Figure | None = None
    """Expected calibration error, 0..1; None for multiple labels."""
    error_by_chance: float | None = None
    """Error that a perfectly calibrated model with the same confidences exceeds in 5 % of cases."""
    bins: list[Bin] = []

    def sentence(self) -> str:
        """Return what percentages mean and how large the errors are, in two sentences."""
        meaning = meaning_of_percentages(self.fitted_on)
        said = f"Log loss {self.log_loss.value:.3f}"
        if self.error is not None and self.error.value is not None:
            by_chance = f"at most {100 * (self.error_by_chance or 0):.1f} by chance"
            said += f", calibration error {100 * self.error.value:.1f} points ({by_chance})"
            if self.fitted_on and self.error.value > (self.error_by_chance or 0):
                meaning = f"Calibrated on {self.fitted_on}, but percentages are not probabilities."
        return f"{meaning} {said}."

    def plotted(self) -> list[Bin]:
        """Return the bins for a plot; none if there are too few clips for one."""
        is_plotted = sum(each.num_segments for each in self.bins) >= _FEW_CLIPS
        return self.bins if is_plotted else []


class Control(BaseModel, frozen=True):
    """The score on changed clips, and its paired difference to that on the clips as they are."""

    value: float | None
    difference: float | None
    low: float | None
    """Lower bound of the 95 % interval of the difference; None if it is undefined."""
    high: float | None

    def difference_text(self, *, scale: float, digits: int) -> str:
        """Return the difference with its interval, times `scale`."""
        if self.difference is None:
            return "-"
        text = f"{scale * self.difference:+.{digits}f}"
        if self.low is None or self.high is None:
            return text
        return f"{text} [{scale * self.low:+.{digits}f}, {scale * self.high:+.{digits}f}]"


class ControlResults(BaseModel, frozen=True):
    """The controls of an evaluation."""

    num_segments: int
    unchanged: float | None
    """Score of these segments as they are."""
    changes: dict[str, Control]
    """Results by name in `CHANGES`."""
    exchanged: list[tuple[str, str, int]]
    """Pairs of classes, and how many clips of one, predicted correctly, are predicted as the other
    if they are reversed; at most three, the most frequent first."""

    def title(self, num_segments: int) -> str:
        """Return a title with the number of changed clips, of `num_segments` in the evaluation."""
        share = f"{self.num_segments:,} of {counted(num_segments, 'clip')}"
        return f"changed clips{f' ({share})' if self.num_segments < num_segments else ''}"

    def rows(self, *, scale: float, digits: int) -> Iterator[tuple[str, str, str]]:
        """Yield the change, the score and its difference, times `scale`, of each row of a table."""
        if self.unchanged is not None:
            yield "none (the network alone)", f"{scale * self.unchanged:.{digits}f}", ""
        for name, control in self.changes.items():
            value = "-" if control.value is None else f"{scale * control.value:.{digits}f}"
            yield CHANGES[name], value, control.difference_text(scale=scale, digits=digits)

    def sentence(self) -> str:
        """Return what the order of frames is worth, and which classes reversing exchanges."""
        order = self.changes["reversed"]
        if self.num_segments < _FEW_CLIPS:
            number = counted(self.num_segments, "clip")
            return f"Too few clips to show what the run uses: {number}; {_FEW_CLIPS} are needed."
        if order.difference is None or order.low is None or order.high is None:
            return "The worth of the order of frames is unknown: it needs several groups of clips."
        if order.low <= 0 <= order.high or order.difference > 0:
            points = order.difference_text(scale=100, digits=1)
            return f"No use of the order of frames is shown: reversing them gives {points} points."
        worth = f"{-100 * order.difference:.1f} points"
        worth += f" [{-100 * order.high:.1f}, {-100 * order.low:.1f}]"
        pairs = [
            f"{truncate(one, 40)} into {truncate(other, 40)} ({number})"
            for one, other, number in self.exchanged
        ]
        turns = f": reversing them turns {', '.join(pairs)}" if pairs else ""
        return f"The order of frames is worth {worth}{turns}."


class EvalFile(BaseModel, frozen=True, allow_inf_nan=False, extra="allow"):
    """Contents of a file `eval-SPLIT.json`, with the metrics of each of `HEADS` under its name."""

    __pydantic_extra__: dict[str, _Metrics]

    run: str
    """The run folder, or that of a baseline."""
    dataset: str
    system: str | None
    detector: str
    """Description of the detector."""
    split: str
    trained_on: bool
    """Whether the run was trained on the split."""
    step: int | None
    """Training step of the weights; None for a baseline."""
    num_segments: int
    num_skipped: int
    clips: int
    metric: Metric
    num_unsure: int
    """Number of unsure labels."""
    unsure_in_evaluation: Literal["left_out", "negative"]
    """Treatment of unsure labels in average precision."""
    chance: float
    figures: dict[str, dict[str, Figure]]
    """Confidence intervals by head and metric."""
    drawn: Draws = Field(alias="interval")
    """Bootstrap draws for the intervals."""
    per_class: list[ClassRow]
    confusion_counts: list[tuple[int, int, int]] = []
    """True class, predicted class and number of segments, if not zero, for single labels."""
    calibration: Calibration | None = None
    """Calibration of the prediction; None for a baseline."""
    controls: ControlResults | None = None
    """What the run uses; None for a baseline, training splits, several clips and
    multiple labels."""
    films: FilmResults | None = None
    """Intervals that were found in long videos; None for clips."""
    made_from: dict[str, Any]
    """What the evaluation was made from."""

    @property
    def by_head(self) -> dict[str, _Metrics]:
        """Metrics by head, starting with the prediction."""
        metrics = self.__pydantic_extra__
        return {head: metrics[head] for head in HEADS if head in metrics}

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

    def score(self) -> tuple[str, Figure]:
        """Return the name and value of the score: of intervals, `HEADLINE`; of clips, the metric of
        the prediction."""
        if self.films is not None:
            return HEADLINE, self.films.figures[HEADLINE]
        head, metrics = next(iter(self.heads().items()), ("", {}))
        low, high = self.interval(head, self.metric) or (None, None)
        return self.metric, Figure(value=metrics.get(self.metric), low=low, high=high)

    def unsure_text(self) -> str | None:
        """Return a note on unsure labels in average precision; None if no label is unsure."""
        if not self.num_unsure:
            return None
        how = {
            "left_out": f"are excluded from average precision, but negative in {UNSURE_NEGATIVE}",
            "negative": "count as negative in average precision",
        }
        return f"unsure labels ({self.num_unsure:,}) {how[self.unsure_in_evaluation]}"

    def interval(self, head: str, metric: str) -> tuple[float, float] | None:
        """Return the bounds of a metric's 95 % confidence interval, or None."""
        figure = self.figures.get(head, {}).get(metric)
        if figure is None or figure.low is None or figure.high is None:
            return None
        return figure.low, figure.high

    def summary(self) -> Summary:
        """Return the results as a table, with a row per metric and a column per head, and notes."""
        seen = " (trained on)" if self.trained_on else ""
        step = "" if self.step is None else f", step {self.step}"
        system = "" if self.system is None else f", system {self.system}"
        heads = self.by_head
        names = dict.fromkeys(
            name for head in heads for name in [*heads[head], *self.figures[head]]
        )
        of_windows = " of windows" if self.films else ""
        notes = [f"chance{of_windows} {self.chance:.4f}", *filter(None, [self.unsure_text()])]
        if any(self.interval(head, name) for head in heads for name in names):
            drawn = self.drawn
            notes.append(f"{100 * drawn.confidence:.0f} % intervals over {drawn.groups_text()}")
        else:
            notes.append(f"no intervals over fewer than five {self.drawn.over}")
        notes = [f"{'; '.join(notes)}."]
        tables = [
            Table(
                header=(
                    "windows" if self.films else "",
                    *(head.replace("_", " ") for head in heads),
                ),
                rows=[(name, *(_cell(self, head, name) for head in heads)) for name in names],
            )
        ]
        if self.films is not None:
            tables = [self.films.table(next(iter(heads))), self.films.counts_table(), *tables]
        if self.calibration is not None:
            notes.append(self.calibration.sentence())
        if self.controls is not None:
            header = (self.controls.title(self.num_segments), self.metric, "difference")
            tables.append(Table(header=header, rows=[*self.controls.rows(scale=1, digits=4)]))
            notes.append(self.controls.sentence())
        what = f"{counted(self.num_segments, 'segment')}, {counted(self.clips, 'clip')} each"
        if self.films is not None:
            number = counted(len(self.films.films), "film")
            what = f"{number}, {counted(self.num_segments, 'window')}"
        return Summary(
            title=f"{self.dataset}, {self.split}{seen}: {what}{step}{system}",
            tables=tables,
            notes=notes,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the contents of the file."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def write(self, path: Path) -> None:
        """Write the file as JSON with its digest.

        Raises:
            PipelineError: if the file cannot be written.
        """
        values = self.as_json()
        whole = {**values, _DIGEST: json_digest(values)}
        write_text(path, json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_eval(path: Path) -> EvalFile:
    """Read a file `eval-SPLIT.json`.

    Raises:
        CheckpointError: if the file is missing, damaged or changed, or invalid.
    """
    raw = read_json(path, error=CheckpointError)
    if not isinstance(raw, dict) or raw.pop(_DIGEST, None) != json_digest(raw):
        raise CheckpointError(
            f"{path_text(path)}: expected results as `orn eval` wrote them, got a damaged or "
            "changed file; evaluate the run again"
        )
    try:
        return EvalFile.model_validate(raw)
    except ValidationError as err:
        raise CheckpointError(
            f"{path}: not a valid result file of `orn eval`: {problems_of(err, EvalFile)}; remove "
            "the file and run `orn eval` again"
        ) from err


def _cell(file: EvalFile, head: str, name: str) -> str:
    """Return a metric of a head with its interval."""
    if (figure := file.figures[head].get(name)) is not None:
        return figure.text()
    value = file.by_head[head].get(name)
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else f"{value}"
