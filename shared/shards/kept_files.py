"""Files that stay open between reads, a bounded number of them in each process.

Opening a file costs as much as reading it, and on a cluster's storage each call takes about a
millisecond. A file is known by its size and its time of change, so that one that was replaced is
not read by what was known of the one before.
"""

import os
import stat
from pathlib import Path

from cachetools import LRUCache

from orn.shared.data_files import Stamp, stamp_of
from orn.shared.errors import ShardFormatError

_MOST_FILES = 64


class KeptFile:
    """A regular file, open until nobody has it any more; may be read by several threads.

    Raises:
        OSError: if it cannot be opened, or is no file.
    """

    def __init__(self, path: Path) -> None:
        self._number = -1
        self._number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # no pipe is waited for
        status = os.fstat(self._number)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("no file")
        self.stamp = stamp_of(status)

    def read(self, place: int, size: int) -> bytes:
        """So many bytes from a place on, fewer at the end."""
        return os.pread(self._number, size, place)

    def __del__(self) -> None:
        if self._number >= 0:
            os.close(self._number)


_kept: LRUCache[tuple[Path, Stamp], KeptFile] = LRUCache(_MOST_FILES)


def kept_file(path: Path, stamp: Stamp) -> KeptFile:
    """The file, opened where it is not kept.

    Raises:
        ShardFormatError: if it is another one by now.
        OSError: if it cannot be opened.
    """
    file = _kept.get((path, stamp))
    if file is None:
        file = KeptFile(path)
        if file.stamp != stamp:
            raise ShardFormatError(f"{path}: has changed since it was opened; start again")
        _kept[path, stamp] = file
    return file
