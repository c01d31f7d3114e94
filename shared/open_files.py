"""Files that stay open for random reads: shards and files of a clip store."""

import os
from pathlib import Path
from threading import RLock

from cachetools import LRUCache, cached

from orn.shared.data_files import Stamp, open_file, stamp_of
from orn.shared.errors import PipelineError

_MOST_FILES = 128
"""Size of the cache in a process."""


class OpenFile:
    """An open file that several threads can read, and that is closed when no longer referenced."""

    def __init__(self, path: Path, error: type[PipelineError]) -> None:
        self._file = open_file(path, error=error).detach()

    @property
    def stamp(self) -> Stamp:
        """Size and modification time."""
        return stamp_of(os.fstat(self._file.fileno()))

    def read(self, place: int, size: int) -> bytes:
        """Return `size` bytes from an offset, or fewer at the end of the file."""
        return os.pread(self._file.fileno(), size, place)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


@cached(LRUCache(_MOST_FILES), lock=RLock())
def open_stamped(path: Path, stamp: Stamp, error: type[PipelineError]) -> OpenFile:
    """Return an open file from a cache.

    Raises:
        error: if the file has a different stamp, or is not a readable regular file.
    """
    file = OpenFile(path, error)
    if file.stamp != stamp:
        raise error(changed(path))
    return file


def changed(path: Path) -> str:
    """Return the message for a file that is no longer the one that was opened."""
    return f"{path}: the file changed or disappeared since it was opened; run the command again"
