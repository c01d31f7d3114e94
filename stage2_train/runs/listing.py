"""What run folders say of their trainings without a checkpoint being opened, side by side.

Anything may be damaged; what a folder does not say is None.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import ValidatorFunctionWrapHandler, WrapValidator
from pydantic.dataclasses import dataclass

from orn.shared.config.bounded import read_bounded, read_json
from orn.shared.config.fields import STRICT, described
from orn.shared.config.files import leaves
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.lock import is_locked
from orn.stage2_train.runs.run_folder import (
    BEST_NAME,
    CONFIG_NAME,
    HEADS,
    LAST_NAME,
    METRICS_NAME,
    STARTS_NAME,
    STATE_NAME,
)

_DEEPEST = 4
_NOT_COMPARED = ("places",)


def _or_none(value: Any, checked: ValidatorFunctionWrapHandler) -> Any:
    try:
        return checked(value)
    except (ValueError, OverflowError):
        return None


_Text = Annotated[str | None, WrapValidator(_or_none)]
_Whole = Annotated[int | None, WrapValidator(_or_none)]
_Number = Annotated[float | None, WrapValidator(_or_none)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class RunSummary:
    """One training."""

    run: str
    """Path of its folder."""
    dataset: _Text = None
    """Name of the data set."""
    system: _Text = None
    """Of the paper's tables; else the recipe's name."""
    state: str
    """`training` (a process holds it), `finished`, `stopped`, `begun` (no checkpoint yet),
    `exported` or `damaged` (its settings are)."""
    step: _Whole = None
    """Steps that are done."""
    num_steps: _Whole = None
    """Steps that the recipe asks for."""
    metric: _Text = None
    """`top1` or `map`."""
    best: _Number = None
    """Best on the validation split while the last phase was trained."""
    best_step: _Whole = None
    """When that was."""
    measured: _Number = None
    """What `orn eval` measured on the split asked for."""
    low: _Number = None
    """Lower end of its 95 % interval."""
    high: _Number = None
    """Upper end of it."""
    trained_on: bool = False
    """Whether that split was learned from."""
    seconds: _Number = None
    """Of training, without validation."""
    started: _Text = None
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
    return sorted(_runs_in(folder, _DEEPEST, above=()))


def _runs_in(folder: Path, levels: int, *, above: tuple[Path, ...]) -> Iterator[Path]:
    here = folder.resolve()
    if here in above:  # a link in a circle
        return
    if (folder / CONFIG_NAME).is_file():
        yield folder
        return
    try:
        inner = [each for each in folder.iterdir() if not each.name.startswith(".")]
    except OSError:
        return
    for each in inner if levels else ():
        if each.is_dir():
            yield from _runs_in(each, levels - 1, above=(*above, here))


def settings_of(run: Path) -> dict[str, Any]:
    """What a run's configuration says, without where its data lies.

    Raises:
        ConfigError: if the folder holds no run.
    """
    if not (run / CONFIG_NAME).is_file():
        raise ConfigError(f"{run}: wanted the folder of a training run, found no {CONFIG_NAME}")
    found = read_json(run / CONFIG_NAME)
    if not isinstance(found, dict):
        raise ConfigError(f"{run / CONFIG_NAME}: expected a table, got {described(found)}")
    return {name: value for name, value in found.items() if name not in _NOT_COMPARED}


def read_summary(run: Path, *, split: str = "validation") -> RunSummary:
    """What the folder of a run says.

    Args:
        split: of the figures that `orn eval` measured.
    """
    state = _object(run / STATE_NAME)
    known: dict[str, Any] = {
        "run": str(run),
        "started": _last_record(run / STARTS_NAME).get("time"),
        "seconds": state.get("seconds"),
    }
    try:
        tables = settings_of(run)
    except ConfigError:
        return RunSummary(state="damaged", **known)
    dataset, system = _table(tables.get("dataset")), tables.get("system")
    standing = state or _last_record(run / METRICS_NAME)  # before the first checkpoint
    return RunSummary(
        dataset=dataset.get("name"),
        system=tables.get("recipe_name") if system is None else system,
        state=_state(run, state),
        step=standing.get("step"),
        num_steps=state.get("num_steps"),
        metric=dataset.get("metric"),
        best=state.get("best_metric"),
        best_step=state.get("best_step"),
        settings=leaves(_table(tables.get("recipe"))),
        **known,
        **_measured(_object(run / f"eval-{split}.json"), str(dataset.get("metric"))),
    )


def _state(run: Path, state: Mapping[str, Any]) -> str:
    if is_locked(run / LAST_NAME):
        return "training"
    if (run / LAST_NAME).is_file():
        return "finished" if state.get("finished") is True else "stopped"
    return "exported" if (run / BEST_NAME).is_file() else "begun"


def _measured(report: Mapping[str, Any], metric: str) -> dict[str, Any]:
    head = next((name for name in HEADS if name in report), "")
    own = _table(_table(_table(report.get("figures")).get(head)).get(metric))
    measured = _table(report.get(head)).get(metric)
    return {
        "measured": measured,
        "low": own.get("low"),
        "high": own.get("high"),
        "trained_on": report.get("trained_on") is True,
    }


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
