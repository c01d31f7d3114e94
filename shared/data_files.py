"""Rules for the files of a data set that may be opened.

- Links are followed: data is often on other disks. Ids and manifests contain no `..` and no
  absolute paths.
- Only regular files are read. Pipes, sockets and devices are rejected without blocking.
"""

import os
import stat
from collections.abc import Callable, Iterator
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
"""Size in bytes and modification time in nanoseconds."""


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file, which changes if the file is replaced or modified."""
    return status.st_size, status.st_mtime_ns


def not_a_file(path: str | Path) -> str | None:
    """Return a noun phrase for the file type at a path if it is not a regular file, else None."""
    try:
        mode = Path(path).stat().st_mode
    except _ABSENT:
        return "none"
    except OSError as err:
        return f"one that cannot be opened ({err.strerror or err})"
    except ValueError:
        return "none, since the name contains a NUL character"
    return None if stat.S_ISREG(mode) else kind_of(mode)


def regular_status(path: Path) -> os.stat_result:
    """Return the status of a regular file or link target, without opening it.

    Raises:
        VideoDecodeError: if the file does not exist or is not a regular file.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as err:  # ValueError: a NUL in the name
        raise VideoDecodeError(f"{path}: cannot be opened ({reason(err)})") from err
    if not stat.S_ISREG(status.st_mode):
        raise VideoDecodeError(
            f"{path}: expected a regular file, got {kind_of(status.st_mode)}; replace it"
        )
    return status


def reason(err: BaseException) -> str:
    """Return the short message of an error from FFmpeg or the operating system."""
    return getattr(err, "strerror", None) or str(err) or type(err).__name__


def kind_of(mode: int) -> str:
    """Return the file type of an `st_mode`, for messages."""
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def is_folder(path: str | Path) -> bool:
    """Return whether a path is a folder or a link to one; False for invalid names, for which
    `Path.is_dir` may raise."""
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: str | Path) -> bool:
    """Return whether a path exists, including broken links; False for invalid names."""
    return os.path.lexists(path)


def walk(
    top: str | Path, *, onerror: Callable[[OSError], object] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk a folder like `os.walk`, in the order of names, following links to folders. Each folder
    is listed once, so circular links end."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(top, onerror=onerror, followlinks=True):
        folders.sort()
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
        else:
            seen.add(real)
            yield parent, folders, sorted(names)
