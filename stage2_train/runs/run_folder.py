"""The folder of a run: its settings, what it was made with, and its metrics as JSON lines.

runs/NAME/config.json        what the run is (`run_config.py`)
          model.safetensors  its best weights
          starts.jsonl       a line for each time it was started or resumed: commit, versions
          metrics.jsonl      what it tells while it runs, also in tensorboard/ and to trackers
          state.json         where its last checkpoint stands
"""

import json
import math
import os
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from orn.shared.config.bounded import open_file, open_to_append, read_bounded, read_json
from orn.shared.config.fields import STRICT
from orn.shared.environment import describe_environment
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.atomic_file import remove_stale_temporaries, write_bytes
from orn.shared.text import path_text

CONFIG_NAME = "config.json"
BEST_NAME = "model.safetensors"
STARTS_NAME = "starts.jsonl"
LAST_NAME = "last.safetensors"
METRICS_NAME = "metrics.jsonl"
STATE_NAME = "state.json"

HEADS = ("two_heads", "activity_head", "object_head")
"""By which figures are told; the first that a run has is its prediction."""
_READ = (
    *(CONFIG_NAME, BEST_NAME, STARTS_NAME, LAST_NAME, METRICS_NAME, STATE_NAME),
    *("previous.safetensors", "data.json", "eval-*.json", "predictions-*.npz", "logits-*.npz"),
    *("detector.pth", "README.md"),
)
"""What commands read of a run."""
_MOST_BYTES = 1 << 30
_LONGEST_LINE = 1 << 20
"""A thousand times as long as any that we write."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Standing:
    """Where the last checkpoint of a run stands, for those who do not open it: `state.json`."""

    step: Annotated[int, Field(ge=0)]
    """Steps that are done."""
    num_steps: Annotated[int, Field(ge=0)]
    """Steps that the recipe asks for."""
    phase: str
    finished: bool
    metric: str
    """`top1` or `map`."""
    best_metric: float | None
    """Best on the validation split in this phase."""
    best_step: int | None
    """When that was."""
    seconds: float
    """Of training, without validation."""


def read_standing(run: Path) -> Standing | None:
    """Return where the last checkpoint of a run stands; None where no file says it."""
    try:
        text = read_bounded(run / STATE_NAME)
        return _STANDING.validate_json(text)
    except (PipelineError, ValidationError):
        return None


def write_status(run: Path, standing: Standing) -> None:
    """Write where the last checkpoint of a run stands."""
    write_bytes(run / STATE_NAME, _STANDING.dump_json(standing) + b"\n")


_STANDING = TypeAdapter(Standing)


def record_start(folder: Path, *, threads: int) -> None:
    """Notes that a run is started or resumed now with so many threads, and removes what a killed
    one was writing.

    Raises:
        PipelineError: if the folder cannot be written.
    """
    remove_stale_temporaries(folder)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    append_jsonl(folder / STARTS_NAME, {"time": now, "threads": threads, **describe_environment()})


def files_of_run(run: Path) -> Iterator[Path]:
    """Return the files of a run that commands read, as far as there."""
    return (path for pattern in _READ for path in run.glob(pattern))


def newest_run(dataset_name: str | None = None, *, among: Path = Path("runs")) -> Path | None:
    """Return the run that was started or resumed last, of those with weights.

    Args:
        dataset_name: name of the data set that it is on; None for any.
        among: folder whose subfolders are looked at.
    """
    candidates = [
        (str(start.get("time")), (run / STARTS_NAME).stat().st_mtime_ns, run)
        for run in among.glob("*")
        if (run / BEST_NAME).is_file()
        and (name := dataset_of(run)) is not None
        and dataset_name in (None, name)
        for start in deque(jsonl_records(run / STARTS_NAME), maxlen=1)
    ]
    return max(candidates)[-1] if candidates else None


def dataset_of(run: Path) -> str | None:
    """Name of the data set of a run; None where the folder has no such settings."""
    try:
        return str(read_json(run / CONFIG_NAME)["dataset"]["name"])
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
            file.write((b"\n" if torn else b"") + line.encode(errors="backslashreplace"))
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
                f"{path_text(path)}: wanted a log of at most {_MOST_BYTES:,} bytes, found "
                f"{size:,}; move it away"
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


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
