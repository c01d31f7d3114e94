"""What run folders say of their trainings without a checkpoint being opened, side by side.

Anything may be damaged; what a folder does not say is None.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from shared.config.bounded import read_bounded, read_json
from shared.config.files import leaves, read_toml
from shared.errors import ConfigError, PipelineError
from shared.jobs.lock import is_locked
from stage2_train.runs.run_folder import (
    CONFIG_NAME,
    HEADS,
    LAST_NAME,
    METRICS_NAME,
    STARTS_NAME,
    STATE_NAME,
    number_in,
)

_DEEPEST = 4
_NOT_COMPARED = ("paths",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One training."""

    run: str
    """Path of its folder."""
    dataset: str | None = None
    """Name of the data set."""
    system: str | None = None
    """Of the paper's tables; else the recipe's name."""
    state: str
    """`training` (a process holds it), `finished`, `stopped`, `begun` (no checkpoint yet) or
    `damaged` (its settings are)."""
    step: int | None = None
    """Steps that are done."""
    num_steps: int | None = None
    """Steps that the recipe asks for."""
    metric: str | None = None
    """`top1` or `map`."""
    best: float | None = None
    """Best on the validation split while the last phase was trained."""
    best_step: int | None = None
    """When that was."""
    measured: float | None = None
    """What `orn eval` measured on the split asked for."""
    low: float | None = None
    """Lower end of its 95 % interval."""
    high: float | None = None
    """Upper end of it."""
    seconds: float | None = None
    """Of training, without validation."""
    started: str | None = None
    """When it was started or resumed last."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the recipe, by dotted key."""

    @property
    def figure(self) -> float | None:
        """What was measured, else the best while training."""
        return self.best if self.measured is None else self.measured


COLUMNS = tuple(each.name for each in fields(RunSummary) if each.name != "settings")


def find_runs(folder: Path) -> list[Path]:
    """Run folders in `folder`, at most four levels deep, and itself if it is one, by name.

    Raises:
        ConfigError: if there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"{folder}: wanted a folder of runs, found none; give --folder, or `orn train` makes "
            "a run in runs/"
        )
    return sorted(_runs_in(folder, _DEEPEST))


def _runs_in(folder: Path, levels: int) -> Iterator[Path]:
    if (folder / CONFIG_NAME).is_file():
        yield folder
        return
    try:
        inner = [each for each in folder.iterdir() if not each.name.startswith(".")]
    except OSError:
        return
    for each in inner if levels else ():
        if each.is_dir():
            yield from _runs_in(each, levels - 1)


def settings_of(run: Path) -> dict[str, Any]:
    """The tables of a run's settings without where its data lies.

    Raises:
        ConfigError: if the folder holds no run.
    """
    if not (run / CONFIG_NAME).is_file():
        raise ConfigError(f"{run}: wanted the folder of a training run, found no {CONFIG_NAME}")
    found = read_toml(run / CONFIG_NAME)
    return {name: value for name, value in found.items() if name not in _NOT_COMPARED}


def read_summary(run: Path, *, split: str = "validation") -> RunSummary:
    """What the folder of a run says.

    Args:
        split: of the figures that `orn eval` measured.
    """
    state = _object(run / STATE_NAME)
    step = _whole(state, "step")
    if not state:  # before the first checkpoint
        step = _whole(_last_record(run / METRICS_NAME), "step")
    known: dict[str, Any] = {
        "run": str(run),
        "started": _text(_last_record(run / STARTS_NAME).get("time")),
        "seconds": number_in(state, "seconds"),
    }
    try:
        tables = settings_of(run)
    except ConfigError:
        return RunSummary(state="damaged", **known)
    dataset, recipe = (_table(tables.get(name)) for name in ("dataset", "recipe"))
    metric = _text(dataset.get("metric"))
    system = _text(tables.get("system"))
    if system in (None, "none"):
        system = _text(tables.get("recipe_name"))
    return RunSummary(
        dataset=_text(dataset.get("name")),
        system=system,
        state=_state(run, state),
        step=step,
        num_steps=_whole(state, "num_steps"),
        metric=metric,
        best=number_in(state, "best_metric"),
        best_step=_whole(state, "best_step"),
        settings=leaves(recipe),
        **known,
        **_measured(_object(run / f"eval-{split}.json"), metric or ""),
    )


def _state(run: Path, state: Mapping[str, Any]) -> str:
    if is_locked(run / LAST_NAME):
        return "training"
    if not (run / LAST_NAME).is_file():
        return "begun"
    return "finished" if state.get("finished") is True else "stopped"


def _measured(report: Mapping[str, Any], metric: str) -> dict[str, Any]:
    head = next((name for name in HEADS if name in report), "")
    value = number_in(_table(report.get(head)), metric)
    own = _table(_table(_table(report.get("figures")).get(head)).get(metric))
    return {"measured": value, "low": number_in(own, "low"), "high": number_in(own, "high")}


def _last_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(read_bounded(path).splitlines()[-1])
    except (PipelineError, ValueError, LookupError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = read_json(path)
    except PipelineError:
        return {}
    return found if isinstance(found, dict) else {}


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole(record: Mapping[str, Any], name: str) -> int | None:
    value = record.get(name)
    return value if type(value) is int else None
