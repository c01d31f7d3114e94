"""Files that are whole or absent: written under a temporary name beside the target, then renamed.

A temporary is called `.NAME.tmp-HOST-PID-TOKEN`, so that two writers never share one, on one
machine or on several that share a disk, and so that what a killed writer left can be told from what
a living one is at.
"""

import glob
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orn.shared.errors import PipelineError

_TEMPORARY_NAME = re.compile(r"^\..+\.tmp-(?P<host>.+)-(?P<pid>\d+)-[0-9a-f]{8}$")

_ABANDONED_SECONDS = 24 * 3600
"""Age after which a temporary counts as abandoned although its writer cannot be seen to be dead."""


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file as a whole, or leaves what was there.

    Raises:
        PipelineError: if the disk refuses, naming the file and the reason.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file as a whole, or leave what was there.

    Bytes of a file's name that are not UTF-8 become escapes such as \\udcff, which a reader of JSON
    makes the same bytes again.

    Raises:
        PipelineError: if the disk refuses, naming the file and the reason.
    """
    write_bytes(path, text.encode(errors="backslashreplace"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which takes the place of `path` when the block ends normally.

    It lies in the same folder, created if need be, and is synced to the disk before it is renamed.
    If the block raises, the temporary is removed and `path` stays as it was.

    Raises:
        PipelineError: if the disk refuses, naming the file and the reason; an `OSError` that leaves
            the block counts as that.
    """
    temporary = path.parent / f".{path.name}.tmp-{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except PipelineError:
        raise
    except OSError as err:
        raise PipelineError(
            f"{path}: could not be written ({err.strerror or err}); "
            "check free space and permissions of its folder"
        ) from err


def remove_stale_temporaries(folder: Path) -> tuple[Path, ...]:
    """Removes what dead writers left in `folder`, and returns the paths removed, sorted.

    A temporary is stale if this machine wrote it and its process is gone, or if nothing has touched
    it for a day. A folder that does not exist holds none.
    """
    removed = []
    for path in sorted(folder.glob(".*.tmp-*")) if folder.is_dir() else ():
        match = _TEMPORARY_NAME.match(path.name)
        if match and _is_stale(path, host=match["host"], pid=int(match["pid"])):
            path.unlink(missing_ok=True)
            removed.append(path)
    return tuple(removed)


def remove_temporaries(path: Path) -> None:
    """Removes what writers of `path` left; they must have ended, one that has not will fail."""
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.tmp-*"):
        if _TEMPORARY_NAME.match(temporary.name):
            temporary.unlink(missing_ok=True)


def _is_stale(path: Path, *, host: str, pid: int) -> bool:
    if host == _host() and not _is_alive(pid):
        return True
    try:
        return time.time() - path.stat().st_mtime > _ABANDONED_SECONDS
    except FileNotFoundError:  # its writer has just renamed it
        return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # alive, under another user
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether a process has ended and only waits to be noticed by its parent, on Linux."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] in ("Z", "X")


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname()) or "host"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
