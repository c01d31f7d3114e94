"""The index of a folder of whole files, such as shards: one line for each file, so that a folder of
ten thousand files opens in a second without opening any of them.

The first line is the version and the CRC-32 of the others. Each of those is JSON: name, size and
time of change of a file, and a small record that was read from it. The index is never needed. A
file that it does not have, or has with another size or time of change, is read again, and the index
is replaced as a whole. A folder that cannot be written to goes without.
"""

import gc
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter

from orn.shared.config.bounded import read_bounded
from orn.shared.data_files import Stamp, stamp_of
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import write_bytes
from orn.shared.jobs.workers import in_threads

logger = logging.getLogger(__name__)

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFile(Generic[Record]):
    """What is known of a file without opening it."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)

    name: str
    """In its folder."""
    size: int
    """Bytes."""
    mtime_ns: int
    """Time of change."""
    record: Record
    """What was read from it."""

    @property
    def stamp(self) -> Stamp:
        """Size and time of change, by which the file is known."""
        return self.size, self.mtime_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexKind(Generic[Record]):
    """An index of one kind of files.

    Attributes:
        name: of the index in its folder.
        version: begins the index; one of another version is not used.
        lines: how a line is checked: `TypeAdapter(IndexedFile[...])` of a strict dataclass.
        read: reads the record of a file; called from threads. What it raises ends `index_folder`.
        least_files: a folder with fewer files has no index.
    """

    name: str
    version: str
    lines: TypeAdapter[IndexedFile[Record]]
    read: Callable[[Path], Record]
    least_files: int = 1


def index_folder(
    folder: Path, paths: Iterable[Path], kind: IndexKind[Record]
) -> dict[Path, IndexedFile[Record]]:
    """Return what is known of each of these files of a folder, in their order; brings the index up
    to date.

    Raises:
        PipelineError: if a file is not there.
        As `kind.read`, for a file that the index does not have.
    """
    paths = tuple(paths)
    stamps = dict(zip(paths, in_threads(_stamp, paths), strict=True))
    index = folder / kind.name
    known = _known(index, stamps, kind) if len(paths) >= kind.least_files else {}
    new = [path for path in paths if path not in known]
    with without_garbage_collection():
        for path, record in zip(new, in_threads(kind.read, new), strict=True):
            size, mtime_ns = stamps[path]
            known[path] = IndexedFile(name=path.name, size=size, mtime_ns=mtime_ns, record=record)
    if new and len(paths) >= kind.least_files:
        text = b"\n".join(kind.lines.dump_json(known[path]) for path in paths)
        try:
            write_bytes(index, _head(kind, text) + text)
        except PipelineError as err:
            logger.debug("%s: goes without an index (%s)", folder, err)
    return {path: known[path] for path in paths}


def _stamp(path: Path) -> Stamp:
    try:
        return stamp_of(path.stat())
    except OSError as err:
        raise PipelineError(f"{path}: expected a file, got {err.strerror}") from err


def _known(
    index: Path, stamps: Mapping[Path, Stamp], kind: IndexKind[Record]
) -> dict[Path, IndexedFile[Record]]:
    """What an index has of the files that are as it knows them."""
    found: dict[Path, IndexedFile[Record]] = {}
    by_name = {path.name: path for path in stamps}
    try:
        content = read_bounded(index, most_bytes=sum(size for size, _ in stamps.values()))
        head, _, text = content.partition(b"\n")
        if head + b"\n" != _head(kind, text):
            raise ValueError("damaged, or of another version")
        with without_garbage_collection():
            for line in text.split(b"\n"):
                entry = kind.lines.validate_json(line)
                path = by_name.get(entry.name)
                if path is not None and stamps[path] == entry.stamp:
                    found[path] = entry
    except (PipelineError, ValueError) as err:
        logger.debug("%s: not used (%s)", index, err)
    return found


def _head(kind: IndexKind[Record], text: bytes) -> bytes:
    return f"{kind.version} {zlib.crc32(text):08x}\n".encode()


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Keep Python's garbage collector from looking at all objects again and again while the block
    makes a hundred thousand that stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
