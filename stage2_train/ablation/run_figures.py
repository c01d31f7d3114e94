"""What a run's folder says of its training: scores, losses, seconds; and two runs as one."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orn.shared.config.bounded import read_json, shown
from orn.shared.config.fields import explain
from orn.shared.errors import CheckpointError, ConfigError, PipelineError
from orn.stage2_train.ablation.plan import AblationRun
from orn.stage2_train.ablation.results import AND, LATE_FUSION, RunResult
from orn.stage2_train.evaluation.bootstrap import Tallies
from orn.stage2_train.model.summary import count_parameters
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.run_folder import HEADS, METRICS_NAME, STARTS_NAME, number_in, read_jsonl


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
    seconds = numbers_of(lines, "seconds")
    return math.fsum(seconds) if seconds else None


def numbers_of(lines: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    """What the lines say under a name, where it is a number."""
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
        figures = {(head, name): value for head in heads for name, value in heads[head].items()}
        whole = {("", name): report[name] for name in ("chance", "num_segments")}
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
            figures=figures | whole,
        )
        found.percent()  # the metric is there
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as err:
        reason = "other content"
        if isinstance(err, ValidationError):
            reason = explain(err, RunResult)
        elif isinstance(err, KeyError):
            reason = f"no key {err}"
        elif isinstance(err, PipelineError):
            reason = str(err).removeprefix(f"{shown(path)}: ")
        raise CheckpointError(
            f"{path}: wanted the report of `orn eval`, found {reason}; remove it and run the "
            "ablation again"
        ) from err
    more = ({} if floor is None else {"floor": floor / 100}) | _cost(run.folder)
    found.figures.update({("", name): value for name, value in more.items()})
    return found


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
    rates = [rate for rate in numbers_of(lines, "clips_per_second") if rate]
    try:
        parameters = count_parameters(read_config(folder).recipe.model)
    except ConfigError:
        parameters = None
    found = {
        "steps": max(numbers_of(lines, "step"), default=None),
        "seconds": run_seconds(lines),
        "clips_per_second": statistics.median(rates) if rates else None,
        "parameters": parameters,
        **loss_figures(lines),
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def late_fusion_results(results: Sequence[RunResult]) -> list[RunResult]:
    """What `activity-head` and `object-head` say together, arm by arm and seed by seed, where both
    kept what they predicted; as if one had been trained after the other."""
    by_run = {(each.system, each.value, each.seed): each for each in results}
    fused = []
    for (system, value, seed), ours in by_run.items():
        theirs = by_run.get(("object-head", value, seed))
        if system != "activity-head" or theirs is None:
            continue
        both = replace(ours, system=LATE_FUSION, run=AND.join((ours.run, theirs.run)), figures={})
        predictions = both.predictions()
        if predictions is None:
            continue
        both.figures.update(ours.figures | theirs.figures)
        tallies = Tallies(predictions.labels, predictions.logits, predictions.unsure)
        both.figures["two_heads", ours.metric] = float(tallies.once()[0])
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
