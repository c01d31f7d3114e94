"""Folders of shards: their files, and an index of their records (`folder_index`)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import TypeAdapter

from orn.shared.config.fields import STRICT
from orn.shared.errors import ShardNotFoundError
from orn.shared.jobs.folder_index import IndexedFile, IndexKind, index_folder
from orn.shared.jobs.plan import PLAN_NAME, FailedVideo
from orn.shared.shards.shard_format import (
    INDEX_NAME,
    SHARD_FILES,
    LeftOut,
    ShardAttributes,
    VideoEntry,
)
from orn.shared.shards.shard_record import ArrayLayout, ShardRecord, read_record

_OF_VIDEOS: dict[str, Any] = {"videos": (), "failed": (), "left_out": ()}
"""Attributes that depend on videos."""
_LEAST_SHARDS = 100
"""Minimum number of shards for which an index is faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedShard:
    """Index entry of a shard; a few kilobytes."""

    __pydantic_config__: ClassVar = STRICT

    common: str
    """Digest of the attributes that do not depend on videos."""
    videos: tuple[VideoEntry, ...]
    failed: tuple[FailedVideo, ...]
    left_out: tuple[LeftOut, ...]
    layouts: dict[str, ArrayLayout]

    @property
    def tried(self) -> tuple[VideoEntry | FailedVideo, ...]:
        """All videos."""
        return (*self.videos, *self.failed)

    @classmethod
    def of(cls, path: Path) -> "IndexedShard":
        """Return the index entry of a shard; raises the same errors as `read_record`."""
        record = read_record(path)
        attributes = record.attributes
        return cls(
            common=replace(attributes, **_OF_VIDEOS).digest,
            videos=attributes.videos,
            failed=attributes.failed,
            left_out=attributes.left_out,
            layouts=dict(record.layouts),
        )


IndexEntry = IndexedFile[IndexedShard]
SHARD_INDEX = IndexKind(
    name=INDEX_NAME,
    version="shard-index 7",
    lines=TypeAdapter(IndexEntry),
    read=IndexedShard.of,
    least_files=_LEAST_SHARDS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFolder:
    """The shards in a folder."""

    entries: Mapping[Path, IndexEntry]
    """Entries in the order of units."""
    commons: Mapping[str, ShardAttributes]
    """Distinct attributes without videos, by digest."""

    @property
    def is_large(self) -> bool:
        """Whether the folder has an index."""
        return len(self.entries) >= SHARD_INDEX.least_files


def open_folder(folder: Path) -> OpenedFolder:
    """Return the index entries of all shards in a folder.

    Raises:
        ShardNotFoundError: if the folder does not exist or has no shards.
        ShardFormatError: if a shard without an index entry is damaged.
    """
    entries = index_folder(folder, shard_paths(folder), SHARD_INDEX)
    first_of = {entry.record.common: path for path, entry in reversed(entries.items())}
    records = {digest: read_record(path) for digest, path in first_of.items()}
    commons = {
        digest: replace(record.attributes, **_OF_VIDEOS) for digest, record in records.items()
    }
    return OpenedFolder(entries=entries, commons=commons)


def record_of(path: Path, entry: IndexEntry, common: ShardAttributes) -> ShardRecord:
    """Return the record of a shard from its index entry, without reading a file."""
    indexed = entry.record
    own = {name: getattr(indexed, name) for name in _OF_VIDEOS}
    attributes = replace(common, **own)
    return ShardRecord(path=path, stamp=entry.stamp, attributes=attributes, layouts=indexed.layouts)


def shard_paths(folder: Path) -> tuple[Path, ...]:
    """Return the shards in a folder, in the order of units.

    Raises:
        ShardNotFoundError: if the folder does not exist or has no shards.
    """
    paths = sorted(folder.glob(SHARD_FILES.pattern), key=str) if folder.is_dir() else []
    if not paths:
        got = "an empty folder" if folder.is_dir() else "none"
        raise ShardNotFoundError(
            f"{folder}: expected a folder with shards (shard-000000.zarr.zip, ...), got {got}; "
            "run `orn detect` first"
        )
    return tuple(paths)


def files_of_shards(folder: Path) -> Iterator[Path]:
    """Return the files in a folder of shards that commands read; none if it is missing."""
    for pattern in (SHARD_FILES.pattern, PLAN_NAME, INDEX_NAME):
        yield from folder.glob(pattern)
