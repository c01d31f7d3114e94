"""The shards of a folder, and what is known of all of them without opening any (`folder_index`)."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import TypeAdapter

from orn.shared.config.fields import STRICT
from orn.shared.errors import ShardNotFoundError
from orn.shared.jobs.folder_index import IndexedFile, IndexKind, index_folder
from orn.shared.jobs.plan import PLAN_NAME, FailedVideo
from orn.shared.shards.files import SHARD_PATTERN
from orn.shared.shards.record import ArrayLayout, ShardRecord, read_record
from orn.shared.shards.schema import LeftOut, ShardAttributes, VideoEntry

INDEX_NAME = "shards.index.json"
_OF_VIDEOS: dict[str, Any] = {"videos": (), "failed": (), "left_out": ()}
"""The attributes that depend on videos."""
_LEAST_SHARDS = 100
"""A folder with fewer opens as fast without an index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedShard:
    """What the index has of a shard; a few kilobytes, for processes that read it."""

    __pydantic_config__: ClassVar = STRICT

    common: str
    """Digest of the attributes that do not depend on videos."""
    videos: tuple[VideoEntry, ...]
    failed: tuple[FailedVideo, ...]
    left_out: tuple[LeftOut, ...]
    layouts: dict[str, ArrayLayout]

    @classmethod
    def of(cls, path: Path) -> "IndexedShard":
        """Return what the index has of a shard; raises as `read_record`."""
        record = read_record(path)
        attributes = record.attributes
        return cls(
            common=_common_digest(attributes),
            videos=attributes.videos,
            failed=attributes.failed,
            left_out=attributes.left_out,
            layouts=dict(record.layouts),
        )


IndexEntry = IndexedFile[IndexedShard]
SHARD_INDEX = IndexKind(
    name=INDEX_NAME,
    version="shard-index 5",
    lines=TypeAdapter(IndexEntry),
    read=IndexedShard.of,
    least_files=_LEAST_SHARDS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFolder:
    """The shards of a folder."""

    entries: Mapping[Path, IndexEntry]
    """In the order of their units."""
    commons: Mapping[str, ShardAttributes]
    """Attributes without videos, by their digest; small."""
    is_large: bool
    """Whether it has so many that they have an index."""


def open_folder(folder: Path) -> OpenedFolder:
    """Return what is known of every shard of a folder.

    Raises:
        ShardNotFoundError: if there is no such folder, or no shard in it.
        ShardFormatError: if a shard that the index does not know is damaged.
    """
    entries = index_folder(folder, shard_paths(folder), SHARD_INDEX)
    first_of = {entry.record.common: path for path, entry in reversed(entries.items())}
    records = {digest: read_record(path) for digest, path in first_of.items()}
    commons = {
        digest: replace(record.attributes, **_OF_VIDEOS) for digest, record in records.items()
    }
    is_large = len(entries) >= SHARD_INDEX.least_files
    return OpenedFolder(entries=entries, commons=commons, is_large=is_large)


def record_of(path: Path, entry: IndexEntry, common: ShardAttributes) -> ShardRecord:
    """Return a shard as opened, by what the index has of it; reads no file."""
    indexed = entry.record
    own = {name: getattr(indexed, name) for name in _OF_VIDEOS}
    attributes = replace(common, **own)
    return ShardRecord(path=path, stamp=entry.stamp, attributes=attributes, layouts=indexed.layouts)


def _common_digest(attributes: ShardAttributes) -> str:
    text = repr(replace(attributes, **_OF_VIDEOS))
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]


def shard_paths(folder: Path) -> tuple[Path, ...]:
    """Return the shards in a folder, in the order of their units.

    Raises:
        ShardNotFoundError: if there is no such folder, or no shard in it.
    """
    paths = sorted(folder.glob(SHARD_PATTERN), key=str) if folder.is_dir() else []
    if not paths:
        found = "none in it" if folder.is_dir() else "no such folder"
        raise ShardNotFoundError(
            f"{folder}: expected a folder with shards (shard-000000.zarr.zip, ...), got {found}; "
            "run `orn detect` first"
        )
    return tuple(paths)


def files_of_shards(folder: Path) -> Iterator[Path]:
    """Return the files of a folder of shards that commands read, none where there is no folder."""
    for pattern in (SHARD_PATTERN, PLAN_NAME, INDEX_NAME):
        yield from folder.glob(pattern)
