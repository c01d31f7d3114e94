"""A lock on a file that vanishes with the process that holds it, however that process ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import PipelineError

__all__ = ["lock_path", "locked"]


def lock_path(path: Path) -> Path:
    """The file that is locked on behalf of `path`, beside it."""
    return path.with_name(f".{path.name}.lock")


@contextmanager
def locked(path: Path, *, job: str) -> Iterator[None]:
    """Holds `path` for one job while the block runs.

    The lock file holds the number of the process, and goes when the block ends; one that a killed
    process left locks nothing.

    Args:
        path: what the job writes; need not exist.
        job: the command, for the message.

    Raises:
        PipelineError: if another process holds it, or the disk refuses.
    """
    lock = lock_path(path)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _opened(lock)
    except OSError as err:
        raise PipelineError(f"{lock}: cannot be locked ({err.strerror or err})") from err
    if descriptor is None:
        holder = lock.read_text().strip() or "unknown"
        raise PipelineError(
            f"{path}: another `{job}` (process {holder}) is writing it; wait until it is done, or "
            "end it"
        )
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _opened(lock: Path) -> int | None:
    """Descriptor of the lock file, locked; None if another process holds it."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_same_file(descriptor, lock):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
        os.close(descriptor)  # its holder removed it between our opening and locking it


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
