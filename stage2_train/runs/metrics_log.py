"""The log of a training: lines of metrics in metrics.jsonl, numbers for trackers, and where it
stands in state.json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker

from shared.jobs.atomic_file import replacing, write_text
from stage2_train.runs.checkpoint import TrainingState
from stage2_train.runs.phases import Phase
from stage2_train.runs.run_folder import (
    METRICS_NAME,
    STATE_NAME,
    append_jsonl,
    jsonl_records,
    number_in,
)
from stage2_train.runs.trackers import send, start_trackers


class MetricsLog:
    """Context manager that takes lines of metrics of a run, for metrics.jsonl and its trackers.

    After a crash the log may be ahead of the last checkpoint; opening it for a resumed training
    takes back what lies after it, so that no step appears twice.
    """

    def __init__(
        self,
        run: Path,
        *,
        step: int,
        accelerator: Accelerator,
        log_with: Sequence[str | GeneralTracker] = (),
        settings: Any = None,
    ) -> None:
        """Opens the log.

        Args:
            run: folder of the run.
            step: last step that is done; lines of later ones are taken back.
            accelerator: of this process; nothing is written in others than the first.
            log_with: trackers beside TensorBoard.
            settings: of the run, for them; a configuration dataclass.
        """
        self.seconds = 0.0
        """Of all lines."""
        self._path = run / METRICS_NAME
        self._step = step
        self._accelerator = accelerator
        self._log_with = log_with
        self._settings = settings
        self._trackers: list[GeneralTracker] = []

    def __enter__(self) -> Self:
        if not self._accelerator.is_main_process:
            return self
        is_ahead = False
        for line in jsonl_records(self._path):
            if self._is_done(line):
                self.seconds += number_in(line, "seconds") or 0.0
            else:
                is_ahead = True
        if is_ahead:
            with replacing(self._path) as temporary, temporary.open("wb") as file:
                for line in filter(self._is_done, jsonl_records(self._path)):
                    text = json.dumps(line, ensure_ascii=False) + "\n"
                    file.write(text.encode(errors="replace"))
        self._trackers = start_trackers(
            self._accelerator,
            self._path.parent,
            self._log_with,
            step=self._step,
            settings=self._settings,
        )
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for tracker in self._trackers:
            tracker.finish()

    def _is_done(self, line: Mapping[str, Any]) -> bool:
        """Whether a line is of a step up to the last that is done, or of none."""
        step = line.get("step", 0)
        return isinstance(step, int) and step <= self._step

    def write(self, step: int, *, group: str, values: Mapping[str, Any]) -> None:
        """Writes one line; numbers go to the trackers as `group/name`."""
        if not self._accelerator.is_main_process:
            return
        append_jsonl(self._path, {"step": step, "group": group, **values})
        self.seconds += number_in(values, "seconds") or 0.0
        numbers = {name: each for name, each in values.items() if isinstance(each, int | float)}
        send(self._trackers, {f"{group}/{name}": numbers[name] for name in numbers}, step=step)

    def write_standing(self, state: TrainingState, phases: Sequence[Phase], *, metric: str) -> None:
        """Says where the training stands, after the checkpoint of the same state; for those who do
        not open checkpoints. `metric` is `top1` or `map`."""
        standing = {
            "step": state.step,
            "num_steps": sum(phase.num_steps for phase in phases),
            "phase": phases[state.phase].name,
            "finished": state.is_finished(len(phases)),
            "metric": metric,
            "best_metric": state.best_metric,
            "best_step": state.best_step,
            "seconds": self.seconds,
        }
        write_text(self._path.with_name(STATE_NAME), json.dumps(standing) + "\n")
