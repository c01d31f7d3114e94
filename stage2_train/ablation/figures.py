"""What runs reached: read from their folders, two heads that were trained apart as one, as CSV."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from orn.shared.config.fields import explain
from orn.shared.csv_text import csv_text
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.manifests.records import Metric
from orn.stage2_train.ablation.plan import LATE_FUSION, AblationRun
from orn.stage2_train.evaluation.bootstrap import Tallies
from orn.stage2_train.evaluation.predictions import late_fusion, load_predictions
from orn.stage2_train.model.summary import count_parameters
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.run_folder import METRICS_NAME, STARTS_NAME, number_in, read_jsonl

_TOGETHER = "two_heads"
_OF_SPLIT = ("chance", "floor", "num_segments")
_ADDED = ("steps", "seconds", "parameters")
"""Figures of late fusion that are the sum of those of its runs."""


@dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=ConfigDict(extra="forbid", allow_inf_nan=False),
)
class RunResult:
    """What one training reached; with late fusion, two."""

    dataset: str
    split: str
    runs: tuple[str, ...]
    """Their folders."""
    commit: str
    """All that a run was started or resumed with; so are `threads`."""
    threads: str
    system: str
    seed: Annotated[int, Field(ge=0)]
    setting: str = ""
    """What is varied; empty where nothing is."""
    value: str = ""
    """Of the setting, or the variant."""
    metric: Metric
    heads: dict[str, dict[str, float]]
    """Shares by head and metric, the prediction first."""
    whole: dict[str, float] = field(default_factory=dict)
    """Of the run: `chance`, `floor`, `num_segments`, `steps`, `seconds` of training,
    `clips_per_second`, `parameters`, `last_loss` and `loss_fall`, as far as known."""

    def __post_init__(self) -> None:
        """Raises ValueError where the prediction was not measured by the metric."""
        if self.metric not in next(iter(self.heads.values()), {}):
            raise ValueError(f"heads: expected {self.metric} of the prediction, got none")

    def percent(self, head: str | None = None) -> float:
        """Return the metric of a head, of the prediction if None."""
        return 100 * self.heads[head or next(iter(self.heads))][self.metric]


def read_run(run: AblationRun, *, split: str, floor: float | None, setting: str = "") -> RunResult:
    """Return what a run reached on a split.

    Args:
        floor: percent, see `AblationRequest`.
        setting: name of what is varied.

    Raises:
        CheckpointError: if it was not measured on the split, or the file is damaged.
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
            f"{path}: expected what `orn eval` writes, got {explain(err, RunResult)}; remove it "
            "and run the ablation again"
        ) from err


def _values_of(starts: Sequence[Mapping[str, Any]], name: str) -> str:
    """Return all values that a run was started or resumed with."""
    values = (each.get(name) for each in starts)
    return " ".join(dict.fromkeys(str(value) for value in values if value is not None))


def _training_figures(folder: Path) -> dict[str, float]:
    """Return what training took and came to; what was not logged is left out.

    Rates of trainings that shared the cores with others say what the experiment took; what a system
    takes alone may differ.
    """
    lines = [line for line in read_jsonl(folder / METRICS_NAME) if line.get("group") == "train"]
    rates = [rate for rate in _numbers(lines, "clips_per_second") if rate]
    try:
        parameters = count_parameters(read_config(folder).recipe.model)
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
    """Return seconds of training by a run's log, without validation; None where it has none."""
    seconds = _numbers(lines, "seconds")
    return math.fsum(seconds) if seconds else None


def loss_figures(lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return `last_loss` and `loss_fall` of a training's log; nothing with less than ten lines.

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


def _numbers(lines: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    return [value for line in lines if (value := number_in(line, name)) is not None]


def late_fusion_results(results: Sequence[RunResult]) -> list[RunResult]:
    """Return what `activity-head` and `object-head` reach when their logits are averaged, variant
    by variant and seed by seed; as if one had been trained after the other.

    Raises:
        CheckpointError: if predictions of a run are missing or damaged.
    """
    by_run = {(each.system, each.value, each.seed): each for each in results}
    return [
        _fused(ours, by_run["object-head", value, seed])
        for (system, value, seed), ours in by_run.items()
        if system == "activity-head" and ("object-head", value, seed) in by_run
    ]


def _fused(*results: RunResult) -> RunResult:
    """Return two runs as one, the activity head's first."""
    ours, theirs = results
    files = (Path(run) / f"predictions-{each.split}.npz" for each in results for run in each.runs)
    found = late_fusion(*map(load_predictions, files))
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
    """Write a line for each figure, which anything that reads tables can join; the same results
    give the same bytes."""
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
