"""The folder of a run: its settings, what it was made with, and its metrics as JSON lines.

runs/NAME/config.toml    the resolved settings
          starts.jsonl   a line for each time the run was started or resumed: commit, versions
          *.jsonl        whatever the run logs
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.config.files import to_toml
from shared.environment import describe_environment
from shared.errors import ConfigError, PipelineError
from shared.jobs.atomic_file import write_text

__all__ = [
    "CONFIG_NAME",
    "STARTS_NAME",
    "append_jsonl",
    "create_run_folder",
    "read_jsonl",
    "record_start",
]

CONFIG_NAME = "config.toml"
STARTS_NAME = "starts.jsonl"


def create_run_folder(
    path: Path | None, *, label: str, config: Any, parent: Path = Path("runs")
) -> Path:
    """A new folder with the resolved settings and a first line about what they are run with.

    Args:
        path: where; None for a new folder `parent/LABEL-DATE-TIME`.
        config: a configuration dataclass, saved so that `load_config` gives it back.

    Raises:
        ConfigError: if `path` already holds a run.
        PipelineError: if the folder cannot be written.
    """
    folder = _new_folder(parent, label) if path is None else path
    if (folder / CONFIG_NAME).exists():
        raise ConfigError(f"{folder} already holds a run; resume it, or give another folder")
    write_text(folder / CONFIG_NAME, to_toml(config))
    record_start(folder)
    return folder


def record_start(folder: Path) -> None:
    """Notes in a run's folder that it is started or resumed now, and what with."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    append_jsonl(folder / STARTS_NAME, {"time": now, **describe_environment()})


def append_jsonl(path: Path, record: Mapping[str, Any]) -> None:
    """Appends one record as a line of JSON, whole even if an earlier process died while writing.

    Numbers that JSON does not have (NaN, infinities) become null.

    Raises:
        PipelineError: if the disk refuses.
    """
    line = json.dumps(_finite(record), ensure_ascii=False, allow_nan=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - 1))
            torn = end > 0 and file.read(1) != b"\n"
            # Appending always goes to the end; one write keeps a line in one piece.
            file.write((b"\n" if torn else b"") + line.encode())
    except OSError as err:
        raise PipelineError(f"{path}: could not be written ({err.strerror})") from err


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The records of a file of JSON lines, without the pieces of lines that a killed process left.

    A file that does not exist has none.
    """
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def _new_folder(parent: Path, label: str) -> Path:
    """A folder that no other run has, made now so that none can take it."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    for attempt in range(1, 1000):
        folder = parent / (f"{label}-{stamp}" + (f"-{attempt}" if attempt > 1 else ""))
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as err:
            raise PipelineError(f"{folder}: could not be made ({err.strerror})") from err
        return folder
    raise PipelineError(f"{parent}: no free name for a run called {label}-{stamp}")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
