"""The log of a training: lines of metrics in metrics.jsonl, numbers for trackers, and where it
stands in state.json.

Trackers are those of accelerate, TensorBoard always. Others are off unless `--log-with` names them,
and write into the run's folder unless their own environment variables say otherwise, so that
nothing leaves the machine unasked.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker, TensorBoardTracker, get_available_trackers

from orn.shared.config.files import leaves, to_dict
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import write_bytes
from orn.shared.nearest import nearest
from orn.stage2_train.runs.checkpoint import TrainingState
from orn.stage2_train.runs.phases import Phase
from orn.stage2_train.runs.run_folder import (
    METRICS_NAME,
    Standing,
    append_jsonl,
    jsonl_records,
    number_in,
    write_status,
)

logger = logging.getLogger(__name__)

_LOCAL = {
    "mlflow": {"MLFLOW_TRACKING_URI": "sqlite:///{run}/mlflow.db"},
    "wandb": {"WANDB_MODE": "offline", "WANDB_DIR": "{run}"},
    "tensorboard": {},
}
"""Environment variables of each tracker that may be named, where they are not set."""


def check_trackers(names: Sequence[str]) -> None:
    """Raises ConfigError for a tracker that is none, or whose package is not installed."""
    installed = {str(each) for each in get_available_trackers()}
    for name in names:
        if name not in _LOCAL:
            raise ConfigError(
                f"--log-with {name}: wanted one of {', '.join(_LOCAL)}; did you mean "
                f"{nearest(name, _LOCAL)!r}?"
            )
        if name not in installed:
            raise ConfigError(
                f"--log-with {name}: wanted the package {name}, found none; `pip install "
                f"'.[{name}]'` in a checkout brings it"
            )


@dataclass(slots=True, kw_only=True)
class MetricsLog:
    """Takes lines of metrics of a run; see `opened_log`."""

    run: Path
    """Its folder."""
    trackers: list[GeneralTracker] | None = None
    """What numbers also go to; None in a process that writes nothing."""
    seconds: float = 0.0
    """Of all lines."""

    def write(self, step: int, *, group: str, values: Mapping[str, Any]) -> None:
        """Writes one line; numbers go to the trackers as `group/name`. A tracker that fails is left
        out from then on, with a warning."""
        if self.trackers is None:
            return
        append_jsonl(self.run / METRICS_NAME, {"step": step, "group": group, **values})
        self.seconds += number_in(values, "seconds") or 0.0
        numbers = {
            f"{group}/{name}": each
            for name, each in values.items()
            if isinstance(each, int | float)
        }
        for tracker in [*self.trackers]:
            try:
                tracker.log(numbers, step=step)
            except Exception as err:  # of any package; metrics.jsonl has the same
                logger.warning("%s takes no more metrics (%s)", tracker.name, err)
                self.trackers.remove(tracker)

    def write_status(self, state: TrainingState, phases: Sequence[Phase], *, metric: str) -> None:
        """Says where the training stands, after the checkpoint of the same state; for those who do
        not open checkpoints. `metric` is `top1` or `map`."""
        standing = Standing(
            step=state.step,
            num_steps=sum(phase.num_steps for phase in phases),
            phase=phases[state.phase].name,
            finished=state.is_finished(len(phases)),
            metric=metric,
            best_metric=state.best_metric,
            best_step=state.best_step,
            seconds=self.seconds,
        )
        write_status(self.run, standing)


@contextmanager
def opened_log(
    run: Path,
    *,
    step: int,
    accelerator: Accelerator,
    log_with: Sequence[str | GeneralTracker] = (),
    settings: Any = None,
) -> Iterator[MetricsLog]:
    """The log of a run while the block runs.

    After a crash it may be ahead of the last checkpoint; what lies after that is taken back, so
    that no step appears twice.

    Args:
        run: folder of the run.
        step: last step that is done; lines of later ones are taken back.
        accelerator: of this process; nothing is written in others than the first.
        log_with: trackers beside TensorBoard, as `check_trackers` takes them.
        settings: of the run, for them; a configuration dataclass.
    """
    if not accelerator.is_main_process:
        yield MetricsLog(run=run)
        return
    seconds = _taken_back(run / METRICS_NAME, step)
    trackers = _started(accelerator, run.absolute(), log_with, step, settings)
    log = MetricsLog(run=run, trackers=trackers, seconds=seconds)
    try:
        yield log
    finally:
        for tracker in trackers:
            tracker.finish()


def _taken_back(path: Path, step: int) -> float:
    """Removes lines of steps after this one, or of none; the seconds of the others."""

    def is_done(line: Mapping[str, Any]) -> bool:
        found = line.get("step", 0)
        return isinstance(found, int) and found <= step

    lines = list(jsonl_records(path))
    done = list(filter(is_done, lines))
    if len(done) < len(lines):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in done)
        write_bytes(path, text.encode(errors="replace"))
    return sum(number_in(line, "seconds") or 0.0 for line in done)


def _started(
    accelerator: Accelerator,
    run: Path,
    names: Sequence[str | GeneralTracker],
    step: int,
    settings: Any,
) -> list[GeneralTracker]:
    """TensorBoard, which takes back later steps, and the trackers that are named, which get the
    settings; they are called like the run."""
    others = [name for name in names if name != "tensorboard"]
    for name in others:
        for variable, value in _LOCAL.get(str(name), {}).items():
            os.environ.setdefault(variable, value.format(run=run))
    board = TensorBoardTracker("tensorboard", str(run), purge_step=step + 1)
    accelerator.log_with, accelerator.trackers = [board, *others], []
    accelerator.init_trackers(run.name)
    for tracker in accelerator.trackers[1:]:
        tracker.store_init_configuration(
            {
                name: value if isinstance(value, bool | int | float | str) else str(value)
                for name, value in leaves(to_dict(settings)).items()
            }
        )
    return accelerator.trackers
