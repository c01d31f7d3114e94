"""Results of the runs in the folder of an ablation."""

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.text import csv_text
from orn.stage2_train.model.build import count_parameters
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_config import recorded_config
from orn.stage2_train.runs.run_folder import (
    METRICS_NAME,
    STARTS_NAME,
    finite_number,
    read_jsonl,
    read_status,
)
from orn.stage2_train.settings.systems import system_names


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Result of one run."""

    dataset: str
    split: str
    run: str
    """The run folder."""
    commit: str
    """Commits with which the run was started or resumed, separated by spaces."""
    threads: str
    """Numbers of threads with which it was started or resumed, separated by spaces."""
    system: str
    settings: str
    """The recipe settings that were set, as in the name of the folder."""
    seed: int
    backbone: str | None
    """ResNet of the run; None if unknown."""
    metric: str
    heads: dict[str, dict[str, float]]
    """Metrics in 0..1 by head and metric name; the prediction comes first."""
    whole: dict[str, float]
    """`chance`, `num_segments`, `steps`, `seconds` (of training), `clips_per_second`, `parameters`,
    `last_loss` and `loss_fall` of the run, if known."""

    def percent(self, head: str | None = None) -> float:
        """Return the metric of a head (by default, of the prediction) in percent."""
        return 100 * self.heads[head or next(iter(self.heads))][self.metric]


def is_measured(folder: Path, split: str) -> bool:
    """Return whether a run is finished and evaluated on a split."""
    status = read_status(folder)
    is_stopped = status is not None and not status.finished  # may have been evaluated by hand
    return not is_stopped and (folder / f"eval-{split}.json").is_file()


def read_results(out: Path, split: str) -> list[RunResult]:
    """Return the results on a split of all finished runs in the folder of an ablation.

    They are sorted by the order of `SYSTEMS`, settings and seed.

    Raises:
        CheckpointError: if a result file is damaged.
    """
    order = system_names()
    places: list[tuple[int, str, int, Path]] = []
    for path in out.glob(f"*/**/eval-{split}.json"):
        system, *labels, seed = path.parent.relative_to(out).parts
        number = re.fullmatch(r"seed(\d+)", seed)
        if system in order and number and len(labels) < 2 and is_measured(path.parent, split):
            label = labels[0] if labels else ""
            places.append((order.index(system), label, int(number[1]), path))
    return [_read(path, order[place], label, seed) for place, label, seed, path in sorted(places)]


def _read(path: Path, system: str, settings: str, seed: int) -> RunResult:
    folder, measured = path.parent, read_eval(path)
    starts, heads = read_jsonl(folder / STARTS_NAME), measured.heads()
    if measured.metric not in next(iter(heads.values()), {}):
        raise CheckpointError(
            f"{path}: not a valid result file of `orn eval`: no {measured.metric} for the "
            "prediction; remove the file and run the ablation again"
        )
    try:
        model = recorded_config(folder).recipe.model
    except ConfigError:
        model = None
    known = {"chance": measured.chance, "num_segments": float(measured.num_segments)}
    known |= {} if model is None else {"parameters": float(count_parameters(model))}
    return RunResult(
        dataset=measured.dataset,
        split=measured.split,
        run=str(folder),
        commit=_values_of(starts, "commit"),
        threads=_values_of(starts, "threads"),
        system=system,
        settings=settings,
        seed=seed,
        backbone=None if model is None else model.backbone,
        metric=measured.metric,
        heads=heads,
        whole=known | _training_figures(folder),
    )


def _values_of(starts: Sequence[Mapping[str, Any]], name: str) -> str:
    """Return the values with which a run was started or resumed, separated by spaces."""
    values = (start.get(name) for start in starts)
    return " ".join(dict.fromkeys(str(value) for value in values if value is not None))


def _training_figures(folder: Path) -> dict[str, float]:
    """Return the duration and losses of a training run, as far as they were logged.

    Parallel training runs share the CPU cores, so a system may train faster on its own.
    """
    lines = [line for line in read_jsonl(folder / METRICS_NAME) if line.get("group") == "train"]
    rates = [rate for rate in _numbers(lines, "clips_per_second") if rate]
    seconds = _numbers(lines, "seconds")
    figures = {
        "steps": max(_numbers(lines, "step"), default=None),
        "seconds": math.fsum(seconds) if seconds else None,
        "clips_per_second": statistics.median(rates) if rates else None,
        **loss_figures(lines),
    }
    return {name: float(value) for name, value in figures.items() if value is not None}


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


def write_csv(results: Iterable[RunResult], path: Path) -> None:
    """Write one CSV row for each value. The output is deterministic."""
    own = ("dataset", "split", "run", "commit", "threads", "system", "settings", "seed")
    rows: list[Sequence[object]] = [(*own, "head", "metric", "result")]
    for result in results:
        cells = [getattr(result, name) for name in own]
        for head, figures in (*result.heads.items(), ("", result.whole)):
            rows += [(*cells, head, name, repr(value)) for name, value in figures.items()]
    write_text(path, csv_text(rows))
