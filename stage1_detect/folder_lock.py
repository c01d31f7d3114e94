"""One job a folder of shards at a time, on all machines that see it."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from shared.errors import PipelineError
from shared.jobs.file_lock import locked
from shared.shards.plan import PLAN_NAME

__all__ = ["folder_locked"]

logger = logging.getLogger(__name__)

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def folder_locked(folder: Path) -> Iterator[None]:
    """Holds a folder of shards for one job while the block runs.

    A folder that is made for the lock goes again if the block leaves it empty. One that nobody can
    write to needs no lock; on a disk without locks the job goes on with a warning.

    Raises:
        PipelineError: another process holds it, or the disk refuses.
    """
    existed = folder.exists()
    with ExitStack() as stack:
        if not existed:
            stack.callback(_remove_if_empty, folder)
        if not folder.is_dir() or os.access(folder, os.W_OK):
            _lock(stack, folder)
        yield


def _lock(stack: ExitStack, folder: Path) -> None:
    try:
        stack.enter_context(locked(folder / PLAN_NAME, job="orn detect or orn import-masks"))
    except PipelineError as err:
        if not isinstance(err.__cause__, OSError) or err.__cause__.errno not in _NO_LOCKS:
            raise
        logger.warning("%s; make sure that no other job writes into %s", err, folder)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
