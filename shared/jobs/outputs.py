"""Where a command may write what its user names: one rule, asked before any long work starts.

- An output is no input: not a file that the command reads, by whatever name or link, and no file in
  a folder that it reads.
- A file comes where nothing is, or replaces a regular file: no folder, pipe, socket or device.
- A folder is new, empty but for hidden files, or of an earlier run of the same command.
- Two outputs are two files.
"""

import os
import stat
from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from orn.shared.data_files import is_folder, is_there, kind_of, reason
from orn.shared.errors import ConfigError
from orn.shared.text import path_text

_DEVICES, _PROCESSES = Path("/dev"), Path("/proc")


def check_output_files(
    outputs: Sequence[Path | None], *, reads: Iterable[str | Path | None] = ()
) -> None:
    """Check that files can be written, as the rule of this module says.

    Args:
        outputs: files that the command writes; None for one that nobody asked for.
        reads: files and folders that it reads, which need not exist; not looked at where no output
            is there already.

    Raises:
        ConfigError: naming the output and what is in the way.
    """
    named = [path for path in outputs if path is not None]
    real = [os.path.realpath(path) for path in named]
    there = []
    for place, path in enumerate(named):
        if real[place] in real[:place]:
            raise _refused(path, "a file of its own", "the file of another output")
        status = _status(path)
        if status is not None:
            if not stat.S_ISREG(status.st_mode):
                raise _refused(path, "a file to write", kind_of(status.st_mode))
            there.append((path, status))
    for source in (Path(each) for each in reads if each) if there else ():
        for path, status in there:
            if _is_same(status, source):
                raise _is_input(path, path_text(source))
            if is_folder(source) and _is_inside(path, source):
                raise _is_input(path, f"a file of {path_text(source)}")


def check_output_folder(
    folder: Path, *, ours: Collection[str], reads: Iterable[str | Path | None] = ()
) -> None:
    """Check that a folder can be written to, as the rule of this module says.

    Args:
        folder: the output.
        ours: patterns of names; a folder with such a file is one of an earlier run of the command.
            Without any, only a new or empty folder will do.
        reads: files and folders that the command reads, which need not exist.

    Raises:
        ConfigError: naming the folder and what is in the way.
    """
    status = _status(folder)
    if status is None:
        return
    if not stat.S_ISDIR(status.st_mode):
        raise _refused(folder, "a folder to write to", kind_of(status.st_mode))
    for source in (Path(each) for each in reads if each):
        if _is_same(status, source):
            raise _is_input(folder, path_text(source))
    _check_writable(folder, folder)
    names = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    if names and not any(fnmatchcase(name, pattern) for name in names for pattern in ours):
        wanted = "a new or empty folder" + (", or one that this command wrote" if ours else "")
        raise _refused(folder, wanted, f"one with {path_text(names[0])} in it")


def _status(path: Path) -> os.stat_result | None:
    """What is at an output, links followed; None where nothing is and it can be made."""
    above = next((each for each in path.parents if is_there(each)), Path())
    if not is_folder(above):
        raise _refused(path, f"a folder at {path_text(above)}", "something else")
    real = Path(os.path.realpath(above))
    if real == _DEVICES or real.is_relative_to(_PROCESSES):
        raise _refused(path, "a file on a disk", "a device")
    _check_writable(path, above)
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        raise ConfigError(f"{path_text(path)}: cannot be written ({reason(err)})") from err


def _check_writable(path: Path, folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _refused(path, "a folder that you may write to", path_text(folder))


def _is_same(status: os.stat_result, source: Path) -> bool:
    try:
        return os.path.samestat(status, source.stat())
    except (OSError, ValueError):
        return False


def _is_inside(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _is_input(path: Path, source: str) -> ConfigError:
    return _refused(path, "an output that is no input", f"{source}, which this command reads")


def _refused(path: Path, wanted: str, found: str) -> ConfigError:
    return ConfigError(f"{path_text(path)}: expected {wanted}, got {found}; choose another name")
