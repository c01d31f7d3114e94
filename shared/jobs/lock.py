"""Locks for jobs that write; a lock is released when its process ends, even if it is killed."""

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from orn.shared.data_files import read_bounded
from orn.shared.errors import PipelineError

logger = logging.getLogger(__name__)

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


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
            _hold(stack, path, job, timeout=-1 if wait else 0)
        yield


def is_locked(path: Path) -> bool:
    """Return whether a job holds the lock of `path`; a concurrent attempt to lock it may fail."""
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
