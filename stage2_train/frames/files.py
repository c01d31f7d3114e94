"""The files of a clip store: the first, and behind it those that hold what was added later.

`clips/DATASET.h5` is followed by `clips/DATASET.h5.added-1` and so on. A further file says which
one it was added to, by the checksum in that one's seal. So a store changes in one renaming, and a
file that a kill left behind another one than it was added to is no part of it.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from orn.shared.data_files import Stamp, stamp_of
from orn.shared.errors import ClipStoreError
from orn.stage2_train.frames.merge import Contents
from orn.stage2_train.frames.store_file import StoreFile

T = TypeVar("T", StoreFile, Contents)

TIMES_LARGER = 4
"""A file this many times as large as what comes behind it stays as it is."""
FEW_BYTES = 2**20
"""Of a file that is joined with any other."""


def file_path(path: Path, number: int) -> Path:
    """The file of this number, from 1, of the store at `path`."""
    return path if number == 1 else path.with_name(f"{path.name}.added-{number - 1}")


def files_there(path: Path) -> dict[Path, Stamp]:
    """Size and time of change of the first file and the further ones, also of those left over."""
    found: dict[Path, Stamp] = {}
    while True:
        file = file_path(path, len(found) + 1)
        try:
            status = file.stat()
        except OSError:
            return found
        found[file] = stamp_of(status)


def read_files(path: Path, read: Callable[[Path], T]) -> tuple[T, ...]:
    """The files that make up a store; of a store that changes meanwhile, as it was or as it is.

    Raises:
        ClipStoreError: as `read`.
    """
    while True:
        there: dict[Path, Stamp] = files_there(path)
        try:
            files = [read(path)]
            for further in [*there][1:]:
                file = read(further)
                if file.follows != files[-1].seal:
                    break
                files.append(file)
        except ClipStoreError:
            if files_there(path) == there:
                raise
        else:
            if files_there(path) == there:
                return tuple(files)


def num_kept(files: Sequence[Contents], changed: Collection[str], added_bytes: int) -> int:
    """How many files stay as they are when videos are written; those behind are joined with them.

    Args:
        files: of the store.
        changed: ids of the videos, some of which may be in the store already.
        added_bytes: what is written of them.
    """
    has_changed = [any(video.video_id in changed for video in file.videos) for file in files]
    kept = len(files)
    while kept:
        size = files[kept - 1].path.stat().st_size
        if size > max(FEW_BYTES, TIMES_LARGER * added_bytes) and not any(has_changed[:kept]):
            break
        added_bytes += size
        kept -= 1
    return kept


def remove_files(path: Path, *, after: int) -> None:
    """Removes all files of a number above `after`, the last one first."""
    for file in reversed([*files_there(path)][after:]):
        file.unlink()
