"""The training log: metrics in metrics.jsonl and for TensorBoard, and the status in state.json."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from orn.shared.jobs.atomic_file import write_bytes
from orn.stage2_train.runs.phases import Phase
from orn.stage2_train.runs.run_folder import (
    METRICS_NAME,
    RunStatus,
    append_jsonl,
    read_jsonl,
    write_status,
)
from orn.stage2_train.runs.training_state import TrainingState


@dataclass(slots=True, kw_only=True)
class MetricsLog:
    """Log of a run's metrics; see `opened_log`."""

    run: Path
    """Run folder."""
    board: SummaryWriter | None = None
    """Writer of TensorBoard's files; None in other processes than the main one."""
    seconds: float = 0.0
    """Training time of all logged steps in seconds."""
    is_main: bool = True
    """Whether this process logs."""

    def write(self, step: int, *, group: str, values: Mapping[str, Any]) -> None:
        """Write a line of metrics, and log numbers to TensorBoard as `group/name`."""
        if not self.is_main:
            return
        append_jsonl(self.run / METRICS_NAME, {"step": step, "group": group, **values})
        self.seconds += values.get("seconds", 0.0)
        assert self.board is not None
        for name, value in values.items():
            if isinstance(value, int | float):
                self.board.add_scalar(f"{group}/{name}", value, global_step=step)
        self.board.flush()

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
def opened_log(run: Path, *, step: int, is_main: bool = True) -> Iterator[MetricsLog]:
    """Open the log of a run for the duration of the block.

    After a crash, the log may be ahead of the last checkpoint. Later lines are removed, so that no
    step appears twice.

    Args:
        run: run folder.
        step: last completed step; lines of later steps are removed, and TensorBoard hides them.
        is_main: whether this process is the main process, the only one that logs.
    """
    if not is_main:
        yield MetricsLog(run=run, is_main=False)
        return
    seconds = _truncate_log(run / METRICS_NAME, step)
    with SummaryWriter(str(run / "tensorboard"), purge_step=step + 1) as board:
        yield MetricsLog(run=run, board=board, seconds=seconds)


def _truncate_log(path: Path, step: int) -> float:
    """Remove lines for later steps; return the training time of the others."""
    lines = read_jsonl(path)
    done = [line for line in lines if line["step"] <= step]
    if len(done) < len(lines):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in done)
        write_bytes(path, text.encode(errors="replace"))
    return math.fsum(line.get("seconds", 0.0) for line in done)
