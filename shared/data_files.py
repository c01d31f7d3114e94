"""Which files of a data set may be opened, decided here for all that finds or reads them.

- What the user or a manifest names may be a link to anywhere: the data root, the data set's folder,
  the folders in front of the first one that depends on a video, a label table, a folder of masks.
  Data sets lie on larger disks.
- What a table or the listing of a folder names may be a link too, but it leads to something inside
  one of these folders: the file of a video, a picture of a frame folder, a file of masks. Else data
  that was passed on would decide which files of this machine are read.
- What is read is a regular file. A pipe, a socket or a device is refused and never waited for.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from orn.shared.errors import VideoDecodeError

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_ABSENT = (FileNotFoundError, NotADirectoryError)

Stamp = tuple[int, int]
"""Size and time of change, in nanoseconds."""


def stamp_of(status: os.stat_result) -> Stamp:
    """What a file is known by: another one at its path has another stamp."""
    return status.st_size, status.st_mtime_ns


def not_a_file(path: str | Path) -> str | None:
    """Why there is no regular file at a path, links followed; None if there is one."""
    try:
        mode = Path(path).stat().st_mode
    except _ABSENT:
        return "no such file"
    except OSError as err:
        return f"cannot be opened ({err.strerror or err})"
    except ValueError:
        return "no such file, since its name holds a NUL character"
    return None if stat.S_ISREG(mode) else f"is {kind_of(mode)}, not a file"


def regular_status(path: Path) -> os.stat_result:
    """The status of a regular file, or of the one that a link leads to; opens nothing.

    Raises:
        VideoDecodeError: if there is none, or it is of another kind.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as err:  # ValueError: a NUL in the name
        raise VideoDecodeError(f"{path}: cannot be opened ({reason(err)})") from err
    if not stat.S_ISREG(status.st_mode):
        raise VideoDecodeError(
            f"{path}: wanted a regular file, found {kind_of(status.st_mode)}; it is not opened"
        )
    return status


def reason(err: BaseException) -> str:
    """What an error of FFmpeg or of the system says, in a few words."""
    return getattr(err, "strerror", None) or str(err) or type(err).__name__


def kind_of(mode: int) -> str:
    """What a file's `st_mode` says that it is, for messages."""
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder at a path, links followed; False for names that no disk can have,
    for which `Path.is_dir` may raise."""
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: str | Path) -> bool:
    """Whether there is anything at a path, a link to nowhere too; as `is_folder` for odd names."""
    return os.path.lexists(path)


def link_target_outside(path: str | Path, inside: Iterable[Path]) -> str | None:
    """Where a path leads, if that is in none of the folders `inside`; None if it is in one."""
    real, folders = Path(os.path.realpath(path)), list(inside)
    if any(real.is_relative_to(folder) for folder in folders):  # as most are, and soon told
        return None
    is_inside = any(real.is_relative_to(os.path.realpath(folder)) for folder in folders)
    return None if is_inside else str(real)
