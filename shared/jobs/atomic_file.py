"""Safe writes: to a temporary file next to the target, which is then renamed, and by a single job.

A temporary file is called `.NAME.tmp-HOST-PID-TOKEN`, so that writers on the same or on different
machines never share one, and files of killed writers can be identified. A lock is released when its
process ends, even if it is killed.
"""

import contextlib
import errno
import fcntl
import glob
import logging
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from orn.shared.data_files import read_bounded
from orn.shared.errors import PipelineError

logger = logging.getLogger(__name__)

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_PROBE_SECONDS = 0.2
"""Time for which a job waits for a process that only looks whether the job is running."""
_TEMPORARY_NAME = re.compile(r"^\..+\.tmp-(?P<host>.+)-(?P<pid>\d+)-[0-9a-f]{8}$")

_LONGEST_NAME = 160
"""Bytes of a name in those of its temporary files, which may have 255 with host and process."""
_ABANDONED_SECONDS = 24 * 3600
"""Age after which a temporary file from another machine is considered abandoned."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically.

    Raises:
        PipelineError: if the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically.

    Bytes in file names that are not valid UTF-8 become escapes such as \\udcff, which JSON readers
    restore.

    Raises:
        PipelineError: if the file cannot be written.
    """
    write_bytes(path, text.encode(errors="backslashreplace"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block ends normally; see
    `replacing_all`."""
    with replacing_all([path]) as (temporary,):
        yield temporary


@contextmanager
def replacing_all(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield temporary paths that replace `paths`, one after another, when the block ends normally.

    A temporary file is in the same folder, which is created if necessary, and is synced to disk
    before it is renamed. If the block raises, they are removed and `paths` are unchanged.

    Raises:
        PipelineError: if a file cannot be written, or the block raises an `OSError`.
    """
    path = paths[0] if paths else Path()
    try:
        with ExitStack() as written:
            temporaries = []
            for path in paths:
                temporaries.append(written.enter_context(temporary_file(path)))
            yield temporaries
            for temporary in temporaries:
                _sync(temporary)
            for path, temporary in zip(paths, temporaries, strict=True):
                temporary.replace(path)
                _sync(path.parent)
    except PipelineError:
        raise
    except OSError as err:
        raise PipelineError(
            f"{path}: could not be written ({err.strerror or err}); "
            "check the free space and permissions of its folder"
        ) from err


@contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """Yield a path for a temporary file in the folder of `path`, which is created if necessary. The
    file is removed at the end of the block."""
    ending = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.parent / f"{_temporary_begin(path)}{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def remove_stale_temporaries(folder: Path) -> None:
    """Remove stale temporary files from `folder`.

    A temporary file is stale if its process on this machine has ended, or if it was not modified
    for a day.
    """
    for path in folder.glob(".*.tmp-*"):
        match = _TEMPORARY_NAME.match(path.name)
        if match and _is_stale(path, host=match["host"], pid=int(match["pid"])):
            path.unlink(missing_ok=True)


def remove_temporaries(path: Path) -> None:
    """Remove all temporary files of `path`, whose writers must have ended."""
    for temporary in path.parent.glob(f"{glob.escape(_temporary_begin(path))}*"):
        if _TEMPORARY_NAME.match(temporary.name):
            temporary.unlink(missing_ok=True)


def _temporary_begin(path: Path) -> str:
    """Return how the names of temporary files of a path begin; a long name is cut to leave room
    for the rest."""
    return f".{os.fsdecode(os.fsencode(path.name)[:_LONGEST_NAME])}.tmp-"


def _is_stale(path: Path, *, host: str, pid: int) -> bool:
    if host == _host() and not _is_alive(pid):
        return True
    try:
        return time.time() - path.stat().st_mtime > _ABANDONED_SECONDS
    except FileNotFoundError:  # renamed by its writer in the meantime
        return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # a process of a different user
        return True
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname()) or "host"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_path(path: Path) -> Path:
    """Return the lock file of `path`, which is next to it."""
    return path.with_name(f".{path.name}.lock")


@contextmanager
def locked(path: Path, *, job: str, wait: bool = False) -> Iterator[None]:
    """Lock `path` for a single job during the block, on all machines that share the disk.

    The lock file contains the process id and is removed at the end of the block; the lock file of a
    killed process is not locked. A folder created for it is removed if it stays empty. A read-only
    folder needs no lock; if the file system does not support locks, a warning is logged.

    Args:
        path: output of the job, which need not exist.
        job: the command, for messages.
        wait: whether to wait until a different process releases the lock.

    Raises:
        PipelineError: if another process holds the lock or the file cannot be written.
    """
    folder = path.parent
    with ExitStack() as stack:
        if not folder.exists():
            stack.callback(_remove_if_empty, folder)
        if not folder.is_dir() or os.access(folder, os.W_OK):
            _hold(stack, path, job, timeout=-1 if wait else _PROBE_SECONDS)
        yield


def is_locked(path: Path) -> bool:
    """Return whether a job holds the lock of `path`. The lock is held for a moment to find out,
    for which a job that begins waits."""
    try:
        descriptor = os.open(lock_path(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # usually, there is no lock file
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as err:
        return err.errno == errno.EWOULDBLOCK
    finally:
        os.close(descriptor)
    return False


def _hold(stack: ExitStack, path: Path, job: str, *, timeout: float) -> None:
    file = lock_path(path)
    lock = FileLock(file, timeout=timeout, fallback_to_soft=False)
    if file.is_symlink():  # its target would be overwritten
        raise PipelineError(f"{file}: expected a lock file, got a link; remove it")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as err:
        try:
            holder = read_bounded(file, most_bytes=100, error=PipelineError)
        except PipelineError:
            raise PipelineError(f"{path}: another `{job}` has just ended; retry") from err
        process = holder.decode(errors="replace").strip() or "unknown"
        raise PipelineError(
            f"{path}: another `{job}` (process {process}) is writing to it; wait, or stop it"
        ) from err
    except OSError as err:
        message = f"{file}: cannot be locked ({err.strerror or err})"
        if err.errno not in _NO_LOCKS:
            raise PipelineError(message) from err
        logger.warning("%s; make sure that no other job writes to %s", message, path.parent)
        return
    stack.callback(lock.release)
    stack.callback(file.unlink, missing_ok=True)  # called first, while the lock is held
    try:
        file.write_text(f"{os.getpid()}\n")
    except OSError as err:  # the disk is full, but empty files can still be created
        raise PipelineError(
            f"{file}: could not be written ({err.strerror or err}); check the free space of its "
            "folder"
        ) from err


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
