"""The folder of a run: its settings, what it was made with, and its metrics as JSON lines.

runs/NAME/config.toml    the resolved settings
          starts.jsonl   a line for each time the run was started or resumed: commit, versions
          metrics.jsonl  what it tells while it runs, also in tensorboard/
          state.json     where its last checkpoint stands
"""

import json
import math
import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from shared.config.bounded import open_file, open_to_append, shown
from shared.config.files import read_toml, to_toml
from shared.environment import describe_environment
from shared.errors import ConfigError, PipelineError
from shared.jobs.atomic_file import replacing, write_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = [
    "CONFIG_NAME",
    "LAST_NAME",
    "METRICS_NAME",
    "STARTS_NAME",
    "STATE_NAME",
    "MetricsLog",
    "append_jsonl",
    "dataset_of",
    "jsonl_records",
    "newest_run",
    "number_in",
    "read_jsonl",
    "start_run",
]

CONFIG_NAME = "config.toml"
STARTS_NAME = "starts.jsonl"
LAST_NAME = "last.pt"
METRICS_NAME = "metrics.jsonl"
STATE_NAME = "state.json"

_MOST_BYTES = 1 << 30
_LONGEST_LINE = 1 << 20
"""A thousand times as long as any that we write."""


def start_run(folder: Path, config: Any, *, threads: int) -> None:
    """Notes that a run is started or resumed now, and what with; a new one gets its settings.

    Args:
        folder: of the run; made where there is none.
        config: a configuration dataclass, saved so that `load_config` gives it back.
        threads: with which it computes.

    Raises:
        PipelineError: if the folder cannot be written.
    """
    if not (folder / CONFIG_NAME).is_file():
        write_text(folder / CONFIG_NAME, to_toml(config))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    append_jsonl(folder / STARTS_NAME, {"time": now, "threads": threads, **describe_environment()})


def newest_run(dataset_name: str, *, among: Path = Path("runs")) -> Path | None:
    """The run on a data set that was started or resumed last, of those with a checkpoint.

    Args:
        dataset_name: name of the data set.
        among: folder whose subfolders are looked at.
    """
    candidates = [
        (str(start.get("time")), (run / STARTS_NAME).stat().st_mtime_ns, run)
        for run in among.glob("*")
        if (run / LAST_NAME).is_file() and dataset_of(run) == dataset_name
        for start in deque(jsonl_records(run / STARTS_NAME), maxlen=1)
    ]
    return max(candidates)[-1] if candidates else None


def dataset_of(run: Path) -> str | None:
    """Name of the data set of a run; None where the folder has no such settings."""
    try:
        return str(read_toml(run / CONFIG_NAME)["dataset"]["name"])
    except (ConfigError, LookupError, TypeError):
        return None


def append_jsonl(path: Path, record: Mapping[str, Any]) -> None:
    """Appends one record as a line of JSON, whole even if an earlier process died while writing.

    Numbers that JSON does not have (NaN, infinities) become null. A link is not followed.

    Raises:
        PipelineError: if the disk refuses.
    """
    line = json.dumps(_finite(record), ensure_ascii=False, allow_nan=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_to_append(path) as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - 1))
            torn = end > 0 and file.read(1) != b"\n"
            # Appending always goes to the end; one write keeps a line in one piece.
            file.write((b"\n" if torn else b"") + line.encode())
    except OSError as err:  # of the folder, or a full disk
        raise PipelineError(f"{path}: could not be written ({err.strerror or err})") from err


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All of `jsonl_records`, for a file that is known to be small."""
    return list(jsonl_records(path))


def jsonl_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file of JSON lines, one at a time, without what is no record: the pieces of
    lines that a killed process left, and what else is damaged.

    A file that does not exist has none.

    Raises:
        PipelineError: if it is no file, or larger than any that a training writes.
    """
    if not path.exists():
        return
    with open_file(path, error=PipelineError) as file:
        size = os.fstat(file.fileno()).st_size
        if size > _MOST_BYTES:
            raise PipelineError(
                f"{shown(path)}: wanted a log of at most {_MOST_BYTES:,} bytes, found {size:,}; "
                "move it away"
            )
        while line := file.readline(_LONGEST_LINE):
            try:
                record = json.loads(line.decode(errors="replace"))
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                yield record


def number_in(record: Mapping[str, Any], name: str) -> float | None:
    """A finite number of a record; None where it has none of that name, or something else."""
    value = record.get(name)
    if isinstance(value, int | float) and abs(value) <= sys.float_info.max:
        return float(value)
    return None


class MetricsLog:
    """Context manager that takes lines of metrics of a run, for metrics.jsonl and TensorBoard.

    After a crash the log may be ahead of the last checkpoint; opening it for a resumed training
    takes back what lies after it, so that no step appears twice.
    """

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
        if not all(map(self._is_done, jsonl_records(self._path))):
            with replacing(self._path) as temporary, temporary.open("wb") as file:
                for line in filter(self._is_done, jsonl_records(self._path)):
                    text = json.dumps(line, ensure_ascii=False) + "\n"
                    file.write(text.encode(errors="replace"))
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

    def _is_done(self, line: Mapping[str, Any]) -> bool:
        """Whether a line is of a step up to the last that is done, or of none."""
        step = line.get("step", 0)
        return isinstance(step, int) and step <= self._step

    def write(self, step: int, *, group: str, values: Mapping[str, Any]) -> None:
        """Writes one line; numbers go to TensorBoard as `group/name`."""
        if not self._active or self._board is None:
            return
        append_jsonl(self._path, {"step": step, "group": group, **values})
        for name, value in values.items():
            if isinstance(value, int | float):
                self._board.add_scalar(f"{group}/{name}", value, step)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
