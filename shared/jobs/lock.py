"""One lock for every job that writes; it ends with the process that holds it, however that ends."""

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from orn.shared.config.bounded import read_bounded
from orn.shared.errors import PipelineError

logger = logging.getLogger(__name__)

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def lock_path(path: Path) -> Path:
    """The file that is locked on behalf of `path`, beside it."""
    return path.with_name(f".{path.name}.lock")


@contextmanager
def locked(path: Path, *, job: str, wait: bool = False) -> Iterator[None]:
    """Holds `path` for one job while the block runs, on all machines that see it.

    The lock file holds the number of the process, and goes when the block ends; one that a killed
    process left locks nothing. A folder made for it goes again if the block leaves it empty. A
    folder that nobody can write to needs no lock; on a disk without locks the job goes on with a
    warning.

    Args:
        path: what the job writes; need not exist.
        job: the command, for the message.
        wait: whether to wait for another process that holds it.

    Raises:
        PipelineError: if another process holds it, or the disk refuses.
    """
    folder = path.parent
    with ExitStack() as stack:
        if not folder.exists():
            stack.callback(_remove_if_empty, folder)
        if not folder.is_dir() or os.access(folder, os.W_OK):
            _hold(stack, path, job, timeout=-1 if wait else 0)
        yield


def is_locked(path: Path) -> bool:
    """Whether a job holds `path` now. A job that asks for it in this very moment is refused."""
    try:
        descriptor = os.open(lock_path(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # most often there is none
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
    if file.is_symlink():  # its target would be written
        raise PipelineError(f"{file}: wanted a file of our own, found a link; remove it")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as err:
        try:
            holder = read_bounded(file, most_bytes=100, error=PipelineError)
        except PipelineError:
            raise PipelineError(f"{path}: another `{job}` has just ended; try again") from err
        process = holder.decode(errors="replace").strip() or "unknown"
        raise PipelineError(
            f"{path}: another `{job}` (process {process}) is writing it; wait until it is done, or "
            "end it"
        ) from err
    except OSError as err:
        message = f"{file}: cannot be locked ({err.strerror or err})"
        if err.errno not in _NO_LOCKS:
            raise PipelineError(message) from err
        logger.warning("%s; make sure that no other job writes into %s", message, path.parent)
        return
    stack.callback(lock.release)
    stack.callback(file.unlink, missing_ok=True)  # called first: while it is held
    try:
        file.write_text(f"{os.getpid()}\n")
    except OSError as err:  # a full disk: it may still make empty files
        raise PipelineError(
            f"{file}: could not be written ({err.strerror or err}); check free space of its folder"
        ) from err


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
