"""Results of the runs in the folder of an ablation."""

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from orn.shared.errors import CheckpointError, ConfigError, PipelineError
from orn.stage2_train.model.build import count_parameters
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.made_from import is_current
from orn.stage2_train.runs.run_config import recorded_config
from orn.stage2_train.runs.run_folder import (
    BEST_NAME,
    METRICS_NAME,
    STARTS_NAME,
    finite_number,
    read_jsonl,
    read_status,
    result_paths,
    weights_digest,
)
from orn.stage2_train.settings.systems import system_names


def is_finished(folder: Path) -> bool:
    """Return whether the training of a run is finished and its best weights exist."""
    status = read_status(folder)
    return status is not None and status.finished and (folder / BEST_NAME).is_file()


def is_measured(folder: Path, split: str) -> bool:
    """Return whether a run is evaluated on a split with its best weights, unless these were removed
    since, and is not unfinished."""
    inputs: dict[str, str] = {}
    with suppress(PipelineError):
        inputs["weights"] = weights_digest(folder)
    status = read_status(folder)
    is_stopped = status is not None and not status.finished  # may have been evaluated by hand
    return not is_stopped and is_current(result_paths(folder, split)[0], inputs)


def read_results(out: Path, split: str) -> list[dict[str, Any]]:
    """Return the results on a split of all finished runs in the folder of an ablation, as JSON
    objects, sorted by the order of `SYSTEMS`, settings and seed.

    Returns:
        For each run: `dataset`, `split`, `metric` and the folder `run`; `system`, `settings` (those
        that were set, as in the name of the folder) and `seed`; the `commit` and the number of
        `threads` of each start, separated by spaces; `backbone`, None if unknown; `heads`, metrics
        in 0..1 by head and metric name, the prediction first; and `whole`: `chance`,
        `num_segments`, `steps`, `seconds` (of training), `clips_per_second`, `parameters`,
        `last_loss` and `loss_fall`, if known.

    Raises:
        CheckpointError: if a result file is damaged.
    """
    order = system_names()
    found: list[tuple[int, str, int, Path]] = []
    for path in out.glob(f"*/**/eval-{split}.json"):
        system, *labels, seed = path.parent.relative_to(out).parts
        number = re.fullmatch(r"seed(\d+)", seed)
        if system in order and number and len(labels) < 2 and is_measured(path.parent, split):
            label = labels[0] if labels else ""
            found.append((order.index(system), label, int(number[1]), path))
    return [
        {"system": order[rank], "settings": label, "seed": seed, **_read(path)}
        for rank, label, seed, path in sorted(found)
    ]


def _read(path: Path) -> dict[str, Any]:
    folder, measured = path.parent, read_eval(path)
    starts, heads = read_jsonl(folder / STARTS_NAME), measured.heads()
    if measured.metric not in next(iter(heads.values()), {}):
        raise CheckpointError(
            f"{path}: not a valid result file of `orn eval`: no {measured.metric} for the "
            "prediction; remove the file and run the ablation again"
        )
    whole = {"chance": measured.chance, "num_segments": float(measured.num_segments)}
    backbone = None
    with suppress(ConfigError):
        model = recorded_config(folder).recipe.model
        backbone, whole["parameters"] = model.backbone, float(count_parameters(model))
    return {
        "dataset": measured.dataset,
        "split": measured.split,
        "run": str(folder),
        "commit": _values_of(starts, "commit"),
        "threads": _values_of(starts, "threads"),
        "backbone": backbone,
        "metric": measured.metric,
        "heads": heads,
        "whole": whole | _training_figures(folder),
    }


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
