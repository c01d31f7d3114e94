"""Rules for the outputs of commands, checked before any long computation starts.

- An output is not an input: neither a file that the command reads, under any name or link, nor a
  file in a folder that it reads.
- An output file is new or replaces a regular file, not a folder, pipe, socket or device.
- An output folder is new, or empty except for hidden files, or from an earlier run of the same
  command.
- Two outputs are different files.
"""

import os
import stat
import tempfile
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from orn.shared.data_files import kind_of, reason
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.text import path_text

_ROOM_BYTES = 1 << 20
"""Space for the results of most commands."""
_DEVICES, _PROCESSES = Path("/dev"), Path("/proc")


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
    for place, path in enumerate(named):
        if real[place] in real[:place]:
            raise _refused(path, "a separate file", "the same file as a different output")
        status = _status(path)
        if status is not None:
            if not stat.S_ISREG(status.st_mode):
                raise _refused(path, "a regular file", kind_of(status.st_mode))
            there.append((path, status))
    for source in (Path(each) for each in reads if each) if there else ():
        for path, status in there:
            if _is_same(status, source):
                raise _is_input(path, path_text(source))
            is_inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(source))
            if os.path.isdir(source) and is_inside:
                raise _is_input(path, f"a file in {path_text(source)}")


def check_output_folder(
    folder: Path, *, ours: Collection[str], reads: Iterable[str | Path | None] = ()
) -> None:
    """Check an output folder against the rules of this module.

    Args:
        folder: the output.
        ours: name patterns that identify a folder of an earlier run; if empty, only a new or empty
            folder is accepted.
        reads: files and folders that the command reads, which need not exist.

    Raises:
        ConfigError: if the folder violates a rule.
    """
    status = _status(folder)
    if status is None:
        return
    if not stat.S_ISDIR(status.st_mode):
        raise _refused(folder, "an output folder", kind_of(status.st_mode))
    for source in (Path(each) for each in reads if each):
        if _is_same(status, source):
            raise _is_input(folder, path_text(source))
    _check_writable(folder, folder)
    names = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    if names and not any(fnmatchcase(name, pattern) for name in names for pattern in ours):
        expected = "a new or empty folder" + (", or one that this command wrote" if ours else "")
        raise _refused(folder, expected, f"a folder that contains {path_text(names[0])}")


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


def _status(path: Path) -> os.stat_result | None:
    """Return the status of an output, following links; None if it can be created."""
    above = next((each for each in path.parents if os.path.lexists(each)), Path())
    if not os.path.isdir(above):
        raise _refused(path, f"a folder at {path_text(above)}", "something else")
    real = Path(os.path.realpath(above))
    if real == _DEVICES or real.is_relative_to(_PROCESSES):
        raise _refused(path, "a file on disk", "a device")
    _check_writable(path, above)
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        raise ConfigError(f"{path_text(path)}: cannot be written ({reason(err)})") from err


def _check_writable(path: Path, folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _refused(path, "a writable folder", path_text(folder))


def _is_same(status: os.stat_result, source: Path) -> bool:
    try:
        return os.path.samestat(status, source.stat())
    except (OSError, ValueError):
        return False


def _is_input(path: Path, source: str) -> ConfigError:
    return _refused(path, "an output, not an input", f"{source}, which this command reads")


def _refused(path: Path, expected: str, got: str) -> ConfigError:
    return ConfigError(f"{path_text(path)}: expected {expected}, got {got}; choose a new name")
