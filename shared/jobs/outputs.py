"""Rules for the outputs of commands, checked before any long computation starts.

- An output is not an input: neither a file that the command reads, under any name or link, nor a
  file in a folder that it reads.
- An output file is new or replaces a regular file, not a folder, pipe, socket or device.
- An output folder is new, or empty except for hidden files, or has the marker of an earlier run of
  the same command.
- Two outputs are different files.
- `--fresh` removes only files that the command writes, and only from a folder with its marker that
  is not a link, not the current folder or one above it, and neither an input nor above one.
- A job resumes in a folder only if its settings agree with those recorded there.
"""

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from orn.shared.data_files import kind_of, open_file, read_json, reason
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.text import counted, path_text, truncate

_MARK_BYTES = 2000
"""Length of the beginning of a file that contains a mark."""
_LONGEST = 60
"""Maximum number of characters of a setting in a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A file by which a command recognizes a folder that it wrote."""

    name: str
    mark: bytes
    """Part of the beginning of the file, which no other program writes."""

    def is_in(self, folder: Path) -> bool:
        """Return whether a folder has the marker."""
        try:
            with open_file(folder / self.name) as file:
                return self.mark in file.read(_MARK_BYTES)
        except (PipelineError, OSError):
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierResults:
    """Results in a folder that a command replaces."""

    folder: Path
    files: tuple[Path, ...]

    def __str__(self) -> str:
        """Return the folder and the number of files."""
        return f"{path_text(self.folder)} ({counted(len(self.files), 'file')})"

    def remove(self) -> None:
        """Remove the files, and the folders in the folder that become empty."""
        above = set[Path]()
        for path in self.files:
            path.unlink(missing_ok=True)
            above.update(parent for parent in path.parents if self.folder in parent.parents)
        for folder in sorted(above, reverse=True):
            with suppress(OSError):  # not empty
                folder.rmdir()


def default_folder(kind: Literal["shards", "clips"], *names: str) -> Path:
    """Return the default folder of a data set's shards or clip store.

    Args:
        kind: the content of the folder.
        names: name of the data set, after names of folders between, such as `seed-1`.
    """
    return Path(kind, *names)


def check_output_files(
    outputs: Sequence[Path | None], *, reads: Iterable[str | Path | None] = ()
) -> None:
    """Check output files against the rules of this module.

    Args:
        outputs: files that the command writes; None for an output that was not requested.
        reads: files and folders that the command reads, which need not exist; iterated only if an
            output exists.

    Raises:
        ConfigError: if an output violates a rule.
    """
    named = [path for path in outputs if path is not None]
    real = [os.path.realpath(path) for path in named]
    there = []
    for number, path in enumerate(named):
        if real[number] in real[:number]:
            raise _refused(path, "a separate file", "the same file as a different output")
        status = _status(path)
        if status is not None:
            if not stat.S_ISREG(status.st_mode):
                raise _refused(path, "a regular file", kind_of(status.st_mode))
            there.append((path, status))
    for read in (Path(path) for path in reads if path) if there else ():
        for path, status in there:
            if _is_same(status, read):
                raise _is_input(path, path_text(read))
            is_inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(read))
            if os.path.isdir(read) and is_inside:
                raise _is_input(path, f"a file in {path_text(read)}")


def check_output_folder(
    folder: Path,
    *,
    marker: Marker | None,
    pattern: str | None = None,
) -> None:
    """Check an output folder against the rules of this module. An input is no such folder, since it
    has other files.

    Args:
        folder: the output.
        marker: marker of a folder of an earlier run; None to accept only a new or empty folder.
        pattern: name pattern of files that also identify such a folder.

    Raises:
        ConfigError: if the folder violates a rule.
    """
    if _folder_status(folder) is None:
        return
    _check_writable(folder, folder)
    is_ours = marker is not None and marker.is_in(folder)
    first = _first_name(folder)
    if first and not is_ours and not (pattern and any(folder.glob(pattern))):
        expected = "a new or empty folder" + (", or one that this command wrote" if marker else "")
        raise _refused(folder, expected, f"a folder that contains {path_text(first)}")


def begin_output_folder(folder: Path, marker: Marker) -> None:
    """Check an output folder, create it if necessary, and mark it.

    Raises:
        ConfigError: if the folder violates a rule of this module.
        PipelineError: if the marker cannot be written.
    """
    check_output_folder(folder, marker=marker)
    if not marker.is_in(folder):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        write_text(folder / marker.name, f'{{{marker.mark.decode()}, "created": "{now}"}}\n')


def earlier_results(
    folder: Path,
    files: Iterable[Path],
    *,
    marker: Marker,
    reads: Iterable[str | Path | None] = (),
) -> EarlierResults:
    """Return what a command with `--fresh` removes from a folder, which may be new or empty.

    Args:
        folder: the output.
        files: files in the folder that the command writes; iterated only if the folder is marked.
        marker: marker of a folder of an earlier run.
        reads: files and folders that the command reads, which need not exist.

    Raises:
        ConfigError: if the folder violates a rule of this module.
    """
    status = _folder_status(folder)
    if status is None:
        return EarlierResults(folder=folder, files=())
    if folder.is_symlink():
        raise _kept(folder, "a link")
    real = os.path.realpath(folder)
    if Path(os.path.realpath(os.curdir)).is_relative_to(real):
        raise _kept(folder, "the current folder or one above it")
    for read in (Path(path) for path in reads if path):
        if _is_same(status, read) or Path(os.path.realpath(read)).is_relative_to(real):
            raise _kept(folder, f"a folder with {path_text(read)}, which this command reads")
    if not marker.is_in(folder):
        first = _first_name(folder)
        if first is not None:
            raise _kept(folder, f"a folder without the {marker.name} of this command")
        return EarlierResults(folder=folder, files=())
    inside = (file for file in files if Path(os.path.realpath(file.parent)).is_relative_to(real))
    return EarlierResults(folder=folder, files=tuple(inside))


def _status(path: Path) -> os.stat_result | None:
    """Return the status of an output, following links; None if it can be created."""
    above = next((parent for parent in path.parents if os.path.lexists(parent)), Path())
    if not os.path.isdir(above):
        raise _refused(path, f"a folder at {path_text(above)}", "something else")
    _check_writable(path, above)
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        raise ConfigError(f"{path_text(path)}: cannot be written ({reason(err)})") from err


def _folder_status(folder: Path) -> os.stat_result | None:
    """Return the status of an output folder; None if it can be created."""
    status = _status(folder)
    if status is None and folder.is_symlink():
        raise _refused(folder, "an output folder", "a link to nothing")
    if status is not None and not stat.S_ISDIR(status.st_mode):
        raise _refused(folder, "an output folder", kind_of(status.st_mode))
    return status


def _first_name(folder: Path) -> str | None:
    """Return the first name in a folder that is not hidden."""
    return min((path.name for path in folder.iterdir() if path.name[0] != "."), default=None)


def _check_writable(path: Path, folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _refused(path, "a writable folder", path_text(folder))


def _is_same(status: os.stat_result, read: Path) -> bool:
    try:
        return os.path.samestat(status, read.stat())
    except (OSError, ValueError):
        return False


def _is_input(path: Path, read: str) -> ConfigError:
    return _refused(path, "an output, not an input", f"{read}, which this command reads")


def _kept(folder: Path, got: str) -> ConfigError:
    return ConfigError(
        f"{path_text(folder)}: expected a folder that --fresh may empty, got {got}; choose a new "
        "name, or remove its files yourself"
    )


def _refused(path: Path, expected: str, got: str) -> ConfigError:
    return ConfigError(f"{path_text(path)}: expected {expected}, got {got}; choose a new name")


def begun_with(record: Path, requested: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the recorded settings of the job in a folder; record the settings of a new job.

    Args:
        record: JSON file in the folder.
        requested: settings of the job, plain JSON values.

    Raises:
        ConfigError: if the file does not contain settings.
        PipelineError: if the file cannot be written.
    """
    if not record.is_file():
        write_text(record, json.dumps(requested, indent=1) + "\n")
        return requested
    recorded = read_json(record)
    if not isinstance(recorded, dict):
        raise ConfigError(
            f"{path_text(record)}: expected the settings of a job, got {recorded!r:.80}; remove "
            "the file if the other files in its folder have the same settings"
        )
    return recorded


def start_over(num_videos: int) -> str:
    """Return the advice for a folder of results that a job cannot extend."""
    results = f"the results of {counted(num_videos, 'video')}"
    return f"choose a different --out, or start over with --fresh, which deletes {results}"


def check_same_job(
    recorded: Mapping[str, Any],
    requested: Mapping[str, Any],
    *,
    where: object,
    remedy: str,
) -> None:
    """Raise ConfigError unless a job has the same settings as the job that created its folder.

    Args:
        recorded: settings of the folder; may hold nested tables and lists.
        requested: settings of the job.
        where: where the settings are recorded, for the message.
        remedy: advice to the user if they differ, for the message.

    Raises:
        ConfigError: if settings differ; the message lists both values of each.
    """
    if different := differences(recorded, requested):
        problem = f"settings have changed: {'; '.join(different)}"
        raise ConfigError(problem, where=where, remedy=remedy)


def differences(
    recorded: Mapping[str, Any],
    requested: Mapping[str, Any],
    *,
    words: tuple[str, str] = ("as recorded", "as requested"),
) -> list[str]:
    """Return a phrase for each setting that differs; for two lists, only the first such element.

    Args:
        recorded: settings by name; may hold nested tables and lists.
        requested: settings to compare with.
        words: terms for the two sides in a phrase.
    """
    return list(_differences("", recorded, requested, *words))


def _differences(name: str, recorded: Any, requested: Any, here: str, there: str) -> Iterator[str]:
    if isinstance(recorded, Mapping) and isinstance(requested, Mapping):
        for key in dict.fromkeys([*recorded, *requested]):
            deeper = f"{name}.{key}" if name else str(key)
            yield from _differences(deeper, recorded.get(key), requested.get(key), here, there)
    elif isinstance(recorded, list | tuple) and isinstance(requested, list | tuple):
        if len(recorded) != len(requested):
            number = counted(len(recorded), "entry", "entries")
            yield f"{name} has {number} {here}, {len(requested)} {there}"
        for row, pair in enumerate(zip(recorded, requested, strict=False)):
            inner = list(_differences(f"{name}[{row}]", *pair, here, there))
            if inner:
                yield from inner
                return
    elif recorded != requested:
        yield f"{name} is {_setting_text(recorded)} {here}, {_setting_text(requested)} {there}"


def _setting_text(value: Any) -> str:
    is_text = isinstance(value, str)
    return f"'{truncate(value, _LONGEST)}'" if is_text else truncate(repr(value), _LONGEST)
