"""Files of a run folder, its status, metrics as JSON lines, and the digest of its configuration.

runs/NAME/run.json           marker of a run folder
          config.json        configuration (`run_config.py`)
          model.safetensors  best weights
          forest.safetensors the forest of the model (`parts`), if it has one
          temperatures.json  temperatures of its probabilities, once they are fitted
          starts.jsonl       a line per start or resumption: commit, versions
          metrics.jsonl      metrics, also in tensorboard/
          state.json         status of the last checkpoint
"""

import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from orn.data_manifests.records import ALL
from orn.shared.config.fields import STRICT
from orn.shared.data_files import (
    file_digest,
    json_digest,
    open_file,
    open_to_append,
    read_bounded,
    read_json,
    reason,
)
from orn.shared.devices import instruction_set
from orn.shared.environment import describe_environment
from orn.shared.errors import CheckpointError, ConfigError, PipelineError
from orn.shared.jobs.atomic_file import remove_stale_temporaries, write_bytes
from orn.shared.jobs.outputs import EarlierResults, Marker, earlier_results
from orn.shared.text import path_text
from orn.stage2_train.intervals import FILM_HEAD_NAME
from orn.stage2_train.parts import FOREST_NAME, TEMPERATURES_NAME

RUN_MARKER = Marker(name="run.json", mark=b'"format": "object-relation-run"')
BASELINE_MARKER = Marker(name="baseline.json", mark=b'"format": "object-relation-baseline"')
BASELINE_NAME = "baseline"
"""Folder of a run with its baseline, by `orn run`; for a cross-validation, with one folder for each
fold."""
CONFIG_NAME = "config.json"
BEST_NAME = "model.safetensors"
MODEL_NAMES = (CONFIG_NAME, BEST_NAME, FOREST_NAME, FILM_HEAD_NAME, TEMPERATURES_NAME)
"""Files of a model, of which the last two may be missing."""
STARTS_NAME = "starts.jsonl"
LAST_NAME = "last.safetensors"
PREVIOUS_NAME = "previous.safetensors"
METRICS_NAME = "metrics.jsonl"
STATE_NAME = "state.json"
REPORT_NAME = "report.html"
MADE_FROM_NAME = "made_from.json"
_ROOM_BYTES = 1 << 20
"""Space for the results of most commands."""
CONFIG_DIGEST = "config"
"""Metadata of files of weights: the digest of the configuration; see `config_digest`."""

_RESULTS = ("eval-*.json", "predictions-*.npz")
_READ = (
    *(*MODEL_NAMES, STARTS_NAME, LAST_NAME, METRICS_NAME, STATE_NAME),
    *(PREVIOUS_NAME, MADE_FROM_NAME, *_RESULTS),
    "README.md",
)
"""Files of a run that commands read."""
_WRITTEN = (
    *_READ,
    *("corrupt.safetensors", REPORT_NAME),
    *("tensorboard/**/*", f"{ALL}.toml", "fold-*.toml"),
)
"""Files of a run that commands write, without its marker and the runs of its folds."""
_BELOW = (
    ("fold-*", RUN_MARKER, _WRITTEN),
    ("fold-*", BASELINE_MARKER, _RESULTS),
    (BASELINE_NAME, BASELINE_MARKER, _RESULTS),
)
"""Folders in a run or in a baseline, with their markers and the files that commands write."""
_MAX_LINE_BYTES = 1 << 20
"""Maximum length of a line, a thousand times longer than the lines written in training."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class RunStatus:
    """Status of the last checkpoint of a run: `state.json`."""

    step: Annotated[int, Field(ge=0)]
    """Number of completed steps."""
    num_steps: Annotated[int, Field(ge=0)]
    """Number of steps in the recipe."""
    phase: str
    finished: bool
    metric: str
    """`top1` or `map`."""
    best_metric: float | None
    """Best validation metric in this phase."""
    best_step: int | None
    """Step of the best validation."""
    seconds: float
    """Training time in seconds, without validation."""


def result_paths(run: Path, name: str) -> tuple[Path, Path]:
    """Return the paths of the metrics and of the predictions of an evaluation in a run folder."""
    return run / f"eval-{name}.json", run / f"predictions-{name}.npz"


def earlier_run(run: Path, *, reads: Iterable[Path] = ()) -> EarlierResults:
    """Return the results in a run folder, without its marker; see `earlier_results`."""
    return earlier_results(run, _results_of(run), marker=RUN_MARKER, reads=reads)


def _results_of(run: Path, patterns: Sequence[str] = _WRITTEN) -> Iterator[Path]:
    """Yield the files of a run, and those of its folds and its baseline with their markers."""
    for pattern in patterns:
        yield from (path for path in run.glob(pattern) if path.is_symlink() or path.is_file())
    for name, marker, of_folder in _BELOW:
        for folder in run.glob(name):
            if marker.is_in(folder) and not folder.is_symlink():
                yield from _results_of(folder, of_folder)
                yield folder / marker.name


def read_status(run: Path) -> RunStatus | None:
    """Return the status of a run; None if the file is missing or invalid."""
    try:
        text = read_bounded(run / STATE_NAME)
        return _STATUS.validate_json(text)
    except (PipelineError, ValidationError):
        return None


def write_status(run: Path, status: RunStatus) -> None:
    """Write the status of a run."""
    write_bytes(run / STATE_NAME, _STATUS.dump_json(status) + b"\n")


_STATUS = TypeAdapter(RunStatus)


def record_start(folder: Path, *, threads: int, precision: str) -> None:
    """Record a start or resumption of a run, and remove temporary files of a killed process.

    Raises:
        PipelineError: if the folder cannot be written.
    """
    remove_stale_temporaries(folder)
    start = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "threads": threads,
        "instruction_set": instruction_set(),
        "precision": precision,
        **describe_environment(),
    }
    append_jsonl(folder / STARTS_NAME, start)


def files_of_run(run: Path) -> Iterator[Path]:
    """Return the existing files of a run that commands read."""
    return (path for pattern in _READ for path in run.glob(pattern))


def newest_run(dataset_name: str | None = None, *, among: Path = Path("runs")) -> Path | None:
    """Return the run with weights that was started or resumed last, by the times in its records,
    which copies keep.

    Args:
        dataset_name: name of the run's data set; None for any data set.
        among: parent folder of the runs.
    """
    candidates = [
        (max((str(own.get("time", "")) for own in read_jsonl(run / STARTS_NAME)), default=""), run)
        for run in among.glob("*")
        if all((run / name).is_file() for name in (BEST_NAME, STARTS_NAME))
        and (name := dataset_of(run)) is not None
        and dataset_name in (None, name)
    ]
    return max(candidates)[1] if candidates else None


def dataset_of(run: Path) -> str | None:
    """Return the name of a run's data set; None if its configuration is missing or invalid."""
    try:
        return str(read_json(run / CONFIG_NAME)["dataset"]["name"])
    except (ConfigError, LookupError, TypeError):
        return None


def append_jsonl(path: Path, record: Mapping[str, Any]) -> None:
    """Append a record as a line of JSON, even after an incomplete line from a killed process.

    NaN and infinity become null. Symbolic links are not followed.

    Raises:
        PipelineError: if the file cannot be written.
    """
    line = json.dumps(_finite(record), ensure_ascii=False, allow_nan=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_to_append(path) as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - 1))
            torn = end > 0 and file.read(1) != b"\n"
            # Appending always writes to the end; a single write keeps the line contiguous.
            file.write((b"\n" if torn else b"") + line.encode(errors="backslashreplace"))
    except OSError as err:  # such as a full disk
        raise PipelineError(f"{path}: could not be written ({err.strerror or err})") from err


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Return the records in a file of JSON lines, without invalid lines, such as an incomplete line
    from a killed process; none if the file is missing.

    Raises:
        PipelineError: if the path is not a file.
    """
    records: list[dict[str, Any]] = []
    if not path.exists():
        return records
    with open_file(path, error=PipelineError) as file:
        while line := file.readline(_MAX_LINE_BYTES):
            try:
                record = json.loads(line.decode(errors="replace"))
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                records.append(record)
    return records


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value


MAX_BYTES = 4 << 20
"""Maximum size of the configuration; the names of 100,000 classes take about 3 MB."""
_MOST_HEADER_BYTES = 4 << 20
_PATHS = "recorded_paths"


def config_digest(run: Path) -> str:
    """Return the digest, `sha256:...`, of the configuration in a run folder.

    Raises:
        ConfigError: if the file is missing, too large or not JSON.
    """
    return _digest(read_json(run / CONFIG_NAME, most_bytes=MAX_BYTES))


def check_digest(run: Path, raw: dict[str, Any], names: Sequence[str]) -> None:
    """Compare a configuration with the digest in the first readable file of weights.

    Args:
        run: run folder.
        raw: content of its configuration.
        names: names of files of weights, which need not exist.

    Raises:
        ConfigError: if the digest differs.
        CheckpointError: if all these files are damaged, or the file has no digest.
    """
    there = [run / name for name in names if os.path.lexists(run / name)]
    for path in there:
        try:
            stored = _metadata(path).get(CONFIG_DIGEST)
        except CheckpointError:
            if path == there[-1]:
                raise
            continue
        if stored is None:
            raise CheckpointError(
                f"{path_text(path)}: expected weights with a digest of {CONFIG_NAME}, got weights "
                "from an older release or a different program; train again in a different --run"
            )
        if stored != _digest(raw):
            raise ConfigError(
                f"{path_text(run / CONFIG_NAME)}: expected the configuration used to train "
                f"{path.name}, got a damaged or different one; restore it, or train again in a "
                "different --run"
            )
        return


def weights_digest(run: Path) -> str:
    """Return the digest of the best weights of a run, and of its forest and its head over time, if
    it has these, which their files contain.

    Raises:
        CheckpointError: if the weights are missing, or one of both is damaged.
    """
    own = str(_metadata(run / BEST_NAME).get("digest"))
    others = [run / name for name in (FOREST_NAME, FILM_HEAD_NAME) if (run / name).exists()]
    return (
        json_digest([own, *(_metadata(path).get("digest") for path in others)]) if others else own
    )


def temperatures_digest(run: Path) -> str:
    """Return the digest of the temperatures of a run; empty if it has none."""
    path = run / TEMPERATURES_NAME
    return file_digest(path) if path.exists() else ""


def no_weights(run: Path) -> CheckpointError:
    """Return the error for a run without its best weights."""
    return CheckpointError(
        f"{path_text(run)}: no {BEST_NAME}; run the command that trained the run again, which "
        "writes it after a validation, or again if it was removed"
    )


def _digest(raw: dict[str, Any]) -> str:
    decisive = {name: value for name, value in raw.items() if name != _PATHS}
    return json_digest(decisive)


def _metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a safetensors file without reading its tensors."""
    with open_file(path, error=CheckpointError) as file:
        size = int.from_bytes(file.read(8), "little")
        header = file.read(size) if size <= _MOST_HEADER_BYTES else b""
    try:
        return dict(json.loads(header)["__metadata__"])
    except (ValueError, LookupError, TypeError, RecursionError) as err:
        raise CheckpointError(
            f"{path_text(path)}: expected the weights of a run, got a damaged or different file; "
            "restore it, or download, export or train the model again"
        ) from err


def check_room(folder: Path) -> None:
    """Check that results can be written to an existing folder, before they are computed.

    Raises:
        PipelineError: if the folder is read-only or its disk is full.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM_BYTES))
    except OSError as err:
        raise PipelineError(
            f"{path_text(folder)}: results cannot be written ({reason(err)}); free space or change "
            "its permissions, and run the command again"
        ) from err
