"""What a training tells while it runs: JSON lines, and the same numbers for TensorBoard.

After a crash the log may be ahead of the last checkpoint; opening it for a resumed training takes
back what lies after it, so that no step appears twice.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from shared.jobs.atomic_file import write_text
from stage2_train.runs.run_folder import append_jsonl, read_jsonl

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["METRICS_NAME", "MetricsLog"]

METRICS_NAME = "metrics.jsonl"


class MetricsLog:
    """Context manager that takes lines of metrics of a run."""

    def __init__(self, run: Path, *, step: int, active: bool = True) -> None:
        """Opens the log.

        Args:
            run: folder of the run.
            step: last step that is done; lines of later ones are taken back.
            active: False in all training processes but one; nothing is then written.
        """
        self._path = run / METRICS_NAME
        self._folder = run / "tensorboard"
        self._step = step
        self._active = active
        self._board: SummaryWriter | None = None

    def __enter__(self) -> Self:
        if not self._active:
            return self
        lines = read_jsonl(self._path)
        kept = [line for line in lines if line.get("step", 0) <= self._step]
        if len(kept) < len(lines):
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept)
            write_text(self._path, text)
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self._board = SummaryWriter(str(self._folder), purge_step=self._step + 1)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._board is not None:
            self._board.close()

    def write(self, step: int, *, group: str, values: Mapping[str, Any]) -> None:
        """Writes one line; numbers go to TensorBoard as `group/name`."""
        if not self._active or self._board is None:
            return
        append_jsonl(self._path, {"step": step, "group": group, **values})
        for name, value in values.items():
            if isinstance(value, int | float):
                self._board.add_scalar(f"{group}/{name}", value, step)
