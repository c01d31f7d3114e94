"""Index of a folder of files, such as shards, so that ten thousand can be opened in a second.

The first line is the version and the CRC-32 of the other lines. Each of these is JSON with the
name, size and modification time of a file, and a small record read from it. The index is only a
cache: files that are missing from it or have changed are read again, and the index is replaced
atomically. A read-only folder has no index.
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

from orn.shared.data_files import Stamp, read_bounded, stamp_of
from orn.shared.errors import PipelineError
from orn.shared.jobs.atomic_file import write_bytes
from orn.shared.jobs.workers import in_threads

logger = logging.getLogger(__name__)

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFile(Generic[Record]):
    """An entry of the index."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)

    name: str
    """Name in the folder."""
    size: int
    """Size in bytes."""
    mtime_ns: int
    """Modification time."""
    record: Record
    """Record read from the file."""

    @property
    def stamp(self) -> Stamp:
        """Size and modification time, which identify the version of the file."""
        return self.size, self.mtime_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexKind(Generic[Record]):
    """Definition of an index for one kind of file.

    Attributes:
        name: file name of the index.
        version: version of the index; other versions are ignored.
        lines: validator of a line, `TypeAdapter(IndexedFile[...])` of a strict dataclass.
        read: reads the record of a file; called from threads. Exceptions end `index_folder`.
        least_files: minimum number of files for an index.
    """

    name: str
    version: str
    lines: TypeAdapter[IndexedFile[Record]]
    read: Callable[[Path], Record]
    least_files: int = 1


def index_folder(
    folder: Path, paths: Iterable[Path], kind: IndexKind[Record]
) -> dict[Path, IndexedFile[Record]]:
    """Return the entries of the given files in order, and update the index.

    Raises:
        PipelineError: if a file is missing or `kind.read` fails.
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
            logger.debug("%s: index not written (%s)", folder, err)
    return {path: known[path] for path in paths}


def _stamp(path: Path) -> Stamp:
    try:
        return stamp_of(path.stat())
    except OSError as err:
        raise PipelineError(f"{path}: cannot read file: {err.strerror}") from err


def _known(
    index: Path, stamps: Mapping[Path, Stamp], kind: IndexKind[Record]
) -> dict[Path, IndexedFile[Record]]:
    """Return the index entries of unchanged files."""
    entries: dict[Path, IndexedFile[Record]] = {}
    by_name = {path.name: path for path in stamps}
    try:
        content = read_bounded(index, most_bytes=sum(size for size, _ in stamps.values()))
        head, _, text = content.partition(b"\n")
        if head + b"\n" != _head(kind, text):
            raise ValueError("damaged or from a different version")
        with without_garbage_collection():
            for line in text.split(b"\n"):
                entry = kind.lines.validate_json(line)
                path = by_name.get(entry.name)
                if path is not None and stamps[path] == entry.stamp:
                    entries[path] = entry
    except (PipelineError, ValueError) as err:
        logger.debug("%s: ignored (%s)", index, err)
    return entries


def _head(kind: IndexKind[Record], text: bytes) -> bytes:
    return f"{kind.version} {zlib.crc32(text):08x}\n".encode()


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Disable Python's garbage collector while the block creates many permanent objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
