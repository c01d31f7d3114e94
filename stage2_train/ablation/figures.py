"""Results of ablation runs: read from run folders, combined by late fusion, written as CSV."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from orn.shared.config.fields import explain
from orn.shared.csv_text import csv_text
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.manifests.records import Metric
from orn.stage2_train.ablation.plan import LATE_FUSION, AblationRun
from orn.stage2_train.evaluation.bootstrap import Tallies
from orn.stage2_train.evaluation.predictions import load_predictions
from orn.stage2_train.model.build import count_parameters
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_config import recorded_config
from orn.stage2_train.runs.run_folder import METRICS_NAME, STARTS_NAME, finite_number, read_jsonl

_TOGETHER = "two_heads"
_OF_SPLIT = ("chance", "floor", "num_segments")
_ADDED = ("steps", "seconds", "parameters")
"""Values that late fusion sums over its two runs."""


@dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=ConfigDict(extra="forbid", allow_inf_nan=False),
)
class RunResult:
    """Result of one run, or of the late fusion of two runs."""

    dataset: str
    split: str
    runs: tuple[str, ...]
    """Run folders."""
    commit: str
    """Commits with which the run was started or resumed, separated by spaces."""
    threads: str
    """Numbers of threads with which it was started or resumed, separated by spaces."""
    system: str
    seed: Annotated[int, Field(ge=0)]
    setting: str = ""
    """Name of the varied setting; empty if nothing is varied."""
    value: str = ""
    """Value of the setting, or name of the variant."""
    metric: Metric
    heads: dict[str, dict[str, float]]
    """Metrics in 0..1 by head and metric name; the prediction comes first."""
    whole: dict[str, float] = field(default_factory=dict)
    """`chance`, `floor`, `num_segments`, `steps`, `seconds` (of training), `clips_per_second`,
    `parameters`, `last_loss` and `loss_fall` of the run, if known."""

    def __post_init__(self) -> None:
        """Raise ValueError if the prediction lacks the metric."""
        if self.metric not in next(iter(self.heads.values()), {}):
            raise ValueError(f"heads: no {self.metric} for the prediction")

    def percent(self, head: str | None = None) -> float:
        """Return the metric of a head (by default, of the prediction) in percent."""
        return 100 * self.heads[head or next(iter(self.heads))][self.metric]


def read_run(run: AblationRun, *, split: str, floor: float | None, setting: str = "") -> RunResult:
    """Return the result of a run on a split.

    Args:
        floor: score of a trivial baseline in percent, see `AblationRequest`.
        setting: name of the varied setting.

    Raises:
        CheckpointError: if the run was not evaluated on the split, or the file is damaged.
    """
    path = run.folder / f"eval-{split}.json"
    measured, starts = read_eval(path), read_jsonl(run.folder / STARTS_NAME)
    known = {"chance": measured.chance, "num_segments": float(measured.num_segments)}
    known |= {} if floor is None else {"floor": floor / 100}
    try:
        return RunResult(
            dataset=measured.dataset,
            split=split,
            runs=(str(run.folder),),
            commit=_values_of(starts, "commit"),
            threads=_values_of(starts, "threads"),
            system=run.row.name,
            seed=run.seed,
            setting=setting,
            value=run.value,
            metric=measured.metric,
            heads=measured.heads(),
            whole=known | _training_figures(run.folder),
        )
    except ValidationError as err:
        raise CheckpointError(
            f"{path}: not a valid result file of `orn eval`: {explain(err, RunResult)}; remove the "
            "file and run the ablation again"
        ) from err


def _values_of(starts: Sequence[Mapping[str, Any]], name: str) -> str:
    """Return the values with which a run was started or resumed, separated by spaces."""
    values = (each.get(name) for each in starts)
    return " ".join(dict.fromkeys(str(value) for value in values if value is not None))


def _training_figures(folder: Path) -> dict[str, float]:
    """Return the duration, size and losses of a training run, as far as they were logged.

    Parallel training runs share the CPU cores, so a system may train faster on its own.
    """
    lines = [line for line in read_jsonl(folder / METRICS_NAME) if line.get("group") == "train"]
    rates = [rate for rate in _numbers(lines, "clips_per_second") if rate]
    try:
        parameters = count_parameters(recorded_config(folder).recipe.model)
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


def run_seconds(lines: Iterable[Mapping[str, Any]]) -> float | None:
    """Return the logged training time in seconds, without validation; None if none is logged."""
    seconds = _numbers(lines, "seconds")
    return math.fsum(seconds) if seconds else None


def loss_figures(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return `last_loss` and `loss_fall` of a training log; empty if it has fewer than ten lines.

    `last_loss` is the mean activity loss in the last tenth of the last phase. `loss_fall` is its
    decrease from the preceding tenth, relative to the mean loss in the first tenth of the run.
    """
    losses = [
        (
            line.get("phase"),
            finite_number(line, "activity_loss" if "activity_loss" in line else "loss"),
        )
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


def _numbers(lines: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    return [value for line in lines if (value := finite_number(line, name)) is not None]


def late_fusion_results(results: Sequence[RunResult]) -> list[RunResult]:
    """Return the results of averaging the logits of `activity-head` and `object-head`.

    There is one result for each variant and seed that both systems have. Steps and times are the
    totals of both runs.

    Raises:
        CheckpointError: if the predictions of a run are missing or damaged.
        ConfigError: if two runs have different segments.
    """
    by_run = {(each.system, each.value, each.seed): each for each in results}
    return [
        _fused(ours, by_run["object-head", value, seed])
        for (system, value, seed), ours in by_run.items()
        if system == "activity-head" and ("object-head", value, seed) in by_run
    ]


def _fused(*results: RunResult) -> RunResult:
    """Return the late fusion of two results; the activity head's result comes first."""
    ours, theirs = results
    files = (Path(run) / f"predictions-{each.split}.npz" for each in results for run in each.runs)
    activity, objects = map(load_predictions, files)
    if activity.ids != objects.ids or not np.array_equal(activity.labels, objects.labels):
        raise ConfigError(
            f"late fusion of {ours.runs[0]} and {theirs.runs[0]}: the runs were evaluated on "
            "different segments; evaluate both runs with the same --partial"
        )
    found = replace(activity, object_logits=objects.object_logits)
    score = Tallies(found.labels, found.logits, found.unsure).once()[0]
    whole = {name: ours.whole[name] for name in _OF_SPLIT if name in ours.whole}
    for name in _ADDED:
        if name in ours.whole and name in theirs.whole:
            whole[name] = ours.whole[name] + theirs.whole[name]
    whole["loss_fall"] = max(each.whole.get("loss_fall", 0.0) for each in results)
    return replace(
        ours,
        system=LATE_FUSION,
        runs=(*ours.runs, *theirs.runs),
        heads={_TOGETHER: {ours.metric: float(score)}, **ours.heads, **theirs.heads},
        whole=whole,
    )


def write_csv(results: Iterable[RunResult], path: Path) -> None:
    """Write one CSV row for each value. The output is deterministic."""
    rows: list[Sequence[object]] = [
        (
            *("dataset", "split", "run", "commit", "threads", "system", "seed", "setting", "value"),
            *("head", "metric", "result"),
        )
    ]
    for each in results:
        own = (
            *(each.dataset, each.split, " + ".join(each.runs), each.commit, each.threads),
            *(each.system, each.seed, each.setting, each.value),
        )
        for head, figures in (*each.heads.items(), ("", each.whole)):
            rows += [(*own, head, name, repr(value)) for name, value in figures.items()]
    write_text(path, csv_text(rows))
