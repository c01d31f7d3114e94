"""The training log: metrics in metrics.jsonl and trackers, and the status in state.json.

Trackers come from accelerate; TensorBoard is always enabled, others only with `--log-with`. They
write to the run folder unless their environment variables specify otherwise, so that by default
nothing leaves the machine.
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

from orn.shared.config.toml_files import leaves, to_dict
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import write_bytes
from orn.stage2_train.runs.checkpoint import TrainingState
from orn.stage2_train.runs.phases import Phase
from orn.stage2_train.runs.run_folder import (
    METRICS_NAME,
    RunStatus,
    append_jsonl,
    finite_number,
    jsonl_records,
    write_status,
)

logger = logging.getLogger(__name__)

_LOCAL = {
    "mlflow": {"MLFLOW_TRACKING_URI": "sqlite:///{run}/mlflow.db"},
    "wandb": {"WANDB_MODE": "offline", "WANDB_DIR": "{run}"},
    "tensorboard": {},
}
"""Supported trackers, with defaults for their environment variables."""


def check_trackers(names: Sequence[str]) -> None:
    """Raise ConfigError for a tracker that is unknown or not installed."""
    installed = {str(tracker) for tracker in get_available_trackers()} & _LOCAL.keys()
    for name in names:
        if name not in installed:
            raise ConfigError(
                f"--log-with {name}: expected {', '.join(_LOCAL)}, got a different or missing "
                "package; install one with `pip install '.[mlflow]'` or `'.[wandb]'` in a checkout"
            )


@dataclass(slots=True, kw_only=True)
class MetricsLog:
    """Log of a run's metrics; see `opened_log`."""

    run: Path
    """Run folder."""
    accelerator: Accelerator | None = None
    """Accelerator with the trackers; None in a process that does not log."""
    seconds: float = 0.0
    """Training time of all logged steps in seconds."""

    def write(self, step: int, *, group: str, values: Mapping[str, Any]) -> None:
        """Write a line of metrics, and log numbers to the trackers as `group/name`. If a tracker
        fails, a warning is logged, and the trackers get no more numbers."""
        if self.accelerator is None:
            return
        append_jsonl(self.run / METRICS_NAME, {"step": step, "group": group, **values})
        self.seconds += finite_number(values, "seconds") or 0.0
        numbers = {
            f"{group}/{name}": each
            for name, each in values.items()
            if isinstance(each, int | float)
        }
        try:
            self.accelerator.log(numbers, step=step)
        except Exception as err:  # any exception; metrics.jsonl has all metrics
            logger.warning("trackers are disabled, because one of them failed (%s)", err)
            self.accelerator.trackers = []

    def write_status(self, state: TrainingState, phases: Sequence[Phase], *, metric: str) -> None:
        """Write the training status, after the checkpoint of the same state; `metric` is `top1` or
        `map`."""
        status = RunStatus(
            step=state.step,
            num_steps=sum(phase.num_steps for phase in phases),
            phase=phases[state.phase].name,
            finished=state.is_finished(len(phases)),
            metric=metric,
            best_metric=state.best_metric,
            best_step=state.best_step,
            seconds=self.seconds,
        )
        write_status(self.run, status)


@contextmanager
def opened_log(
    run: Path,
    *,
    step: int,
    accelerator: Accelerator,
    log_with: Sequence[str | GeneralTracker] = (),
    settings: Any = None,
) -> Iterator[MetricsLog]:
    """Open the log of a run for the duration of the block.

    After a crash, the log may be ahead of the last checkpoint. Later lines are removed, so that no
    step appears twice.

    Args:
        run: run folder.
        step: last completed step; lines of later steps are removed.
        accelerator: accelerator of this process; only the main process logs.
        log_with: trackers in addition to TensorBoard; see `check_trackers`.
        settings: configuration dataclass to store in the trackers.
    """
    if not accelerator.is_main_process:
        yield MetricsLog(run=run)
        return
    seconds = _truncate_log(run / METRICS_NAME, step)
    _start_trackers(accelerator, run.absolute(), log_with, step, settings)
    trackers = accelerator.trackers
    try:
        yield MetricsLog(run=run, accelerator=accelerator, seconds=seconds)
    finally:
        for tracker in trackers:
            tracker.finish()


def _truncate_log(path: Path, step: int) -> float:
    """Remove lines without a step or for later steps; return the training time of the others."""

    def is_done(line: Mapping[str, Any]) -> bool:
        found = line.get("step", 0)
        return isinstance(found, int) and found <= step

    lines = list(jsonl_records(path))
    done = list(filter(is_done, lines))
    if len(done) < len(lines):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in done)
        write_bytes(path, text.encode(errors="replace"))
    return sum(finite_number(line, "seconds") or 0.0 for line in done)


def _start_trackers(
    accelerator: Accelerator,
    run: Path,
    names: Sequence[str | GeneralTracker],
    step: int,
    settings: Any,
) -> None:
    """Start TensorBoard, which hides later steps, and other trackers, which store the settings in a
    project named after the run."""
    others = [name for name in names if name != "tensorboard"]
    for name in others:
        for variable, value in _LOCAL.get(str(name), {}).items():
            os.environ.setdefault(variable, value.format(run=run))
    board = TensorBoardTracker("tensorboard", str(run), purge_step=step + 1)
    accelerator.log_with, accelerator.trackers = [board, *others], []
    accelerator.init_trackers(run.name)
    for tracker in accelerator.trackers[1:]:
        tracker.store_init_configuration(leaves(to_dict(settings)))
