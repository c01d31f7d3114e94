"""What runs reached, as one long CSV: a line a figure, which anything that reads tables can join.

dataset,split,run,commit,threads,system,seed,setting,value,head,metric,result

`setting` and `value` say what is varied and are empty where nothing is. `head` is `two_heads`,
`activity_head` or `object_head` with the metrics of `orn eval` as shares, or empty with figures of
the whole run: `chance`, `floor`, `num_segments`, `steps`, `seconds` of training, `clips_per_second`
, `parameters`, `last_loss` and `loss_fall`.
"""

import csv
import io
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.config.bounded import read_bounded, read_json
from shared.config.fields import explain
from shared.errors import CheckpointError, ConfigError, PipelineError
from shared.jobs.atomic_file import write_text
from stage2_train.ablation.bootstrap import KeptLogits
from stage2_train.ablation.plan import AblationRun
from stage2_train.evaluation.predictions import Predictions, late_fusion, load_predictions
from stage2_train.model.summary import count_parameters
from stage2_train.runs.run_config import load_run_config
from stage2_train.runs.run_folder import METRICS_NAME, STARTS_NAME, number_in, read_jsonl

__all__ = [
    "HEADS",
    "LATE_FUSION",
    "RunResult",
    "late_fusion_results",
    "loss_figures",
    "read_csv",
    "read_run",
    "run_seconds",
    "write_csv",
]

HEADS = ("two_heads", "activity_head", "object_head")
"""The first that a run has is its prediction."""
LATE_FUSION = "late-fusion"
_AND = " + "
_Text = Annotated[str, Field(max_length=1000)]


class _Line(BaseModel):
    """Of the CSV."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    dataset: _Text
    split: _Text
    run: _Text
    commit: _Text
    threads: _Text
    system: Annotated[_Text, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)]
    setting: _Text
    value: _Text
    head: Annotated[_Text, Field(pattern=f"^({'|'.join(HEADS)})?$")]
    metric: _Text
    result: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What one training reached; the fields are those of the CSV."""

    dataset: str
    split: str
    run: str
    commit: str
    threads: str
    system: str
    seed: int
    setting: str = ""
    value: str = ""
    figures: dict[tuple[str, str], float] = field(default_factory=dict)
    """By head and metric."""

    @property
    def heads(self) -> tuple[str, ...]:
        """Those that were measured, the prediction first."""
        found = {head for head, _ in self.figures}
        return tuple(head for head in HEADS if head in found)

    @property
    def metric(self) -> str:
        """`map` or `top1`."""
        return "map" if (self.heads[0], "map") in self.figures else "top1"

    def with_value(self, setting: str, value: str) -> "RunResult":
        """The same result as one of a curve."""
        return replace(self, setting=setting, value=value)

    def percent(self, head: str | None = None) -> float:
        """The metric of a head, of the prediction if None."""
        return 100 * self.figures[head or self.heads[0], self.metric]

    def predictions(self) -> Predictions | None:
        """What `orn eval` kept of the run; None where there is nothing that can be read."""
        try:
            first, *second = (
                load_predictions(Path(run) / f"predictions-{self.split}.npz")
                for run in self.run.split(_AND)
            )
            return late_fusion(first, *second) if second else first
        except PipelineError:
            return None

    def logits(self) -> KeptLogits | None:
        """What the run predicted; None where that was not kept, or does not give the score that
        was measured, as where annotators were unsure."""
        found = self.predictions()
        try:
            if not found or not found.ids:
                return None
            kept = KeptLogits(ids=found.ids, labels=found.labels, logits_NA=found.logits)
            return kept if abs(100 * kept.score() - self.percent()) < 0.01 else None
        except (ValueError, LookupError, TypeError, StopIteration):  # damaged arrays
            return None


def late_fusion_results(results: Sequence[RunResult]) -> list[RunResult]:
    """What `activity-head` and `object-head` say together, arm by arm and seed by seed, where both
    kept what they predicted; as if one had been trained after the other."""
    by_run = {(each.system, each.value, each.seed): each for each in results}
    fused = []
    for (system, value, seed), ours in by_run.items():
        theirs = by_run.get(("object-head", value, seed))
        if system != "activity-head" or theirs is None:
            continue
        both = replace(ours, system=LATE_FUSION, run=_AND.join((ours.run, theirs.run)), figures={})
        predictions = both.predictions()
        if predictions is None:
            continue
        kept = KeptLogits(
            ids=predictions.ids, labels=predictions.labels, logits_NA=predictions.logits
        )
        both.figures.update(ours.figures | theirs.figures)
        both.figures["two_heads", ours.metric] = kept.score()
        for name in ("steps", "seconds", "parameters"):
            parts = [each.figures.get(("", name)) for each in (ours, theirs)]
            if None not in parts:
                both.figures["", name] = math.fsum(part for part in parts if part is not None)
        falls = [each.figures.get(("", "loss_fall"), 0.0) for each in (ours, theirs)]
        both.figures["", "loss_fall"] = max(falls)
        for name in ("clips_per_second", "last_loss"):  # of one of them
            both.figures.pop(("", name), None)
        fused.append(both)
    return fused


def loss_figures(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """`last_loss` and `loss_fall` of the lines of a training's log; nothing with less than ten.

    `last_loss` is the mean activity loss of the last tenth of the last phase. `loss_fall` is by how
    much the tenth before it is above it, as a share of the mean loss of the run's first tenth.
    """
    losses = [
        (line.get("phase"), number_in(line, "activity_loss" if "activity_loss" in line else "loss"))
        for line in lines
    ]
    whole = [loss for _, loss in losses if loss is not None]
    own = [loss for phase, loss in losses if phase == losses[-1][0] and loss is not None]
    tenth = len(own) // 10
    if not tenth:
        return {}
    first = statistics.fmean(whole[: max(1, len(whole) // 10)])
    before, last = (statistics.fmean(part) for part in (own[-2 * tenth : -tenth], own[-tenth:]))
    return {"last_loss": last, "loss_fall": (before - last) / first if first > 0 else 0.0}


def run_seconds(lines: Iterable[Mapping[str, Any]]) -> float | None:
    """Seconds of training by a run's log, without those of validation; None where it has none."""
    seconds = _numbers(lines, "seconds")
    return math.fsum(seconds) if seconds else None


def _numbers(lines: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    return [value for line in lines if (value := number_in(line, name)) is not None]


def read_run(run: AblationRun, *, split: str, floor: float | None, setting: str = "") -> RunResult:
    """What a run was measured at.

    Args:
        floor: percent, see `AblationRequest`.
        setting: name of what is varied.

    Raises:
        CheckpointError: if it was not measured on the split, or the file does not say what.
    """
    path = run.folder / f"eval-{split}.json"
    if not path.is_file():
        raise CheckpointError(
            f"{run.title}: wanted {path}, found none; run the ablation to its end"
        )
    starts = read_jsonl(run.folder / STARTS_NAME)
    try:
        report = read_json(path, error=CheckpointError)
        heads = {head: report[head] for head in HEADS if head in report}
        figures = {(head, name): _finite(v) for head in heads for name, v in heads[head].items()}
        whole = {name: _finite(report[name]) for name in ("chance", "num_segments")}
        found = RunResult(
            dataset=str(report["dataset"]),
            split=split,
            run=str(run.folder),
            commit=_seen(starts, "commit"),
            threads=_seen(starts, "threads"),
            system=run.row.name,
            seed=run.seed,
            setting=setting,
            value=run.value,
            figures=figures,
        )
        found.percent()  # the metric is there
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as err:
        raise CheckpointError(
            f"{path}: wanted the report of `orn eval`, found {type(err).__name__}: {err}; remove "
            "it and run the ablation again"
        ) from err
    whole |= {} if floor is None else {"floor": floor / 100}
    figures.update({("", name): value for name, value in (whole | _cost(run.folder)).items()})
    return found


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"wanted a finite number, found {value}")
    return number


def _seen(starts: Sequence[Mapping[str, Any]], name: str) -> str:
    """All values that a run was started or resumed with."""
    values = (each.get(name) for each in starts)
    return " ".join(dict.fromkeys(str(value) for value in values if value is not None))


def _cost(folder: Path) -> dict[str, float]:
    """What training took and came to; what was not logged is left out.

    Rates of trainings that shared the cores with others say what the experiment took; what a system
    takes alone may differ.
    """
    lines = [line for line in read_jsonl(folder / METRICS_NAME) if line.get("group") == "train"]
    rates = [rate for rate in _numbers(lines, "clips_per_second") if rate]
    try:
        parameters = count_parameters(load_run_config(folder).recipe.model)
    except ConfigError:
        parameters = None
    found = {
        "steps": max(_numbers(lines, "step"), default=None),
        "seconds": run_seconds(lines),
        "clips_per_second": statistics.median(rates) if rates else None,
        "parameters": parameters,
        **loss_figures(lines),
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def write_csv(results: Iterable[RunResult], path: Path) -> None:
    """Writes a line a figure; the same results give the same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(_Line.model_fields)
    writer.writerow(names)
    for each in results:
        own = [getattr(each, name) for name in names[:-3]]
        writer.writerows(
            [*own, head, metric, repr(value)] for (head, metric), value in each.figures.items()
        )
    write_text(path, text.getvalue())


def read_csv(path: Path) -> list[RunResult]:
    """The results of such a file, in its order.

    Raises:
        ConfigError: if it is something else.
    """
    wanted = f"{path}: wanted the CSV of `orn ablate`, table-TABLE-SPLIT.csv"
    lines = TypeAdapter(list[_Line])
    found: dict[tuple[str, ...], RunResult] = {}
    try:
        text = read_bounded(path).decode()
        reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
        names = list(_Line.model_fields)
        if reader.fieldnames != names:
            raise ConfigError(f"{wanted}; its first line is not {','.join(names)}")
        rows = lines.validate_python(list(reader))
    except ValidationError as err:
        raise ConfigError(f"{wanted}; {explain(err, _Line)}") from err
    except (ValueError, csv.Error) as err:
        raise ConfigError(f"{wanted}; {err}") from err
    for row in rows:
        key = (row.dataset, row.split, row.system, str(row.seed), row.setting, row.value)
        own = row.model_dump(exclude={"head", "metric", "result"})
        result = found.setdefault(key, RunResult(**own))
        if result.run != row.run or (row.head, row.metric) in result.figures:
            raise ConfigError(
                f"{wanted}; {row.system}, seed {row.seed}, {row.metric}: wanted it once, found it "
                "twice"
            )
        result.figures[row.head, row.metric] = row.result
    for result in found.values():
        if not result.heads or (result.heads[0], result.metric) not in result.figures:
            raise ConfigError(
                f"{wanted}; {result.system}, seed {result.seed}: wanted top1 or map of a head, "
                "found neither"
            )
    if not found:
        raise ConfigError(f"{wanted}; found no line")
    return list(found.values())
