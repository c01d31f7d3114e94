"""Folders of shards: their files, an index of their records (`folder_index`), and the folder whose
shards were completed last, the default data set of commands."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

from pydantic import TypeAdapter

from orn.shared.config.fields import STRICT
from orn.shared.errors import ConfigError, PipelineError, ShardNotFoundError
from orn.shared.jobs.folder_index import IndexedFile, IndexKind, index_folder
from orn.shared.jobs.outputs import default_folder
from orn.shared.jobs.plan import PLAN_NAME, FailedVideo, Plan
from orn.shared.shards.shard_format import (
    INDEX_NAME,
    SHARD_FILES,
    LeftOut,
    ShardAttributes,
    VideoEntry,
    shard_path,
)
from orn.shared.shards.shard_record import ArrayLayout, ShardRecord, read_record
from orn.shared.text import path_text

_OF_VIDEOS: dict[str, Any] = {"videos": (), "failed": (), "left_out": ()}
"""Attributes that depend on videos."""
_LEAST_SHARDS = 100
"""Minimum number of shards for which an index is faster."""
_FOLDERS = ("*", "*/*")
"""Patterns of folders of shards: `shards/DATASET`, `shards/seed-1/demo` of `orn demo --seed 1`."""


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

    @classmethod
    def of(cls, path: Path) -> "IndexedShard":
        """Return the index entry of a shard; raises the same errors as `read_record`."""
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
    """The shards in a folder."""

    entries: Mapping[Path, IndexEntry]
    """Entries in the order of units."""
    commons: Mapping[str, ShardAttributes]
    """Distinct attributes without videos, by digest."""
    is_large: bool
    """Whether the folder has an index."""


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
    is_large = len(entries) >= SHARD_INDEX.least_files
    return OpenedFolder(entries=entries, commons=commons, is_large=is_large)


def record_of(path: Path, entry: IndexEntry, common: ShardAttributes) -> ShardRecord:
    """Return the record of a shard from its index entry, without reading a file."""
    indexed = entry.record
    own = {name: getattr(indexed, name) for name in _OF_VIDEOS}
    attributes = replace(common, **own)
    return ShardRecord(path=path, stamp=entry.stamp, attributes=attributes, layouts=indexed.layouts)


def _common_digest(attributes: ShardAttributes) -> str:
    text = repr(replace(attributes, **_OF_VIDEOS))
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]


def shard_paths(folder: Path) -> tuple[Path, ...]:
    """Return the shards in a folder, in the order of units.

    Raises:
        ShardNotFoundError: if the folder does not exist or has no shards.
    """
    paths = sorted(folder.glob(SHARD_FILES.pattern), key=str) if folder.is_dir() else []
    if not paths:
        found = "an empty folder" if folder.is_dir() else "none"
        raise ShardNotFoundError(
            f"{folder}: expected a folder with shards (shard-000000.zarr.zip, ...), got {found}; "
            "run `orn detect` first"
        )
    return tuple(paths)


def files_of_shards(folder: Path) -> Iterator[Path]:
    """Return the files in a folder of shards that commands read; none if it is missing."""
    for pattern in (SHARD_FILES.pattern, PLAN_NAME, INDEX_NAME):
        yield from folder.glob(pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedShards:
    """A folder with shards for all units of its plan."""

    folder: Path
    """Folder of the shards."""
    plan: Plan
    """Their plan."""
    when: datetime
    """Time of the last shard."""
    incomplete: tuple[str, ...] = ()
    """Other, incomplete folders, with the reason."""

    def __str__(self) -> str:
        """Return a line that states which data set was selected, and why."""
        others = "".join(f"; incomplete: {each}" for each in self.incomplete)
        return (
            f"{self.plan.dataset}: the data set whose detection was completed last "
            f"({path_text(self.folder)}, {self.when:%Y-%m-%d %H:%M}){others}"
        )


def last_completed(folders: Sequence[Path] | None = None) -> CompletedShards:
    """Return the complete folder with the most recent shard.

    Args:
        folders: candidates; None for all folders in `shards`.

    Raises:
        PipelineError: if no folder is complete.
    """
    where = "shards" if folders is None else ", ".join(map(path_text, folders))
    if folders is None:
        parent = default_folder("shards")
        folders = [folder for pattern in _FOLDERS for folder in sorted(parent.glob(pattern))]
    complete, lacking = [], []
    for folder in folders:
        try:
            plan = Plan.load(folder)
        except ConfigError:
            lacking.append(f"{path_text(folder)} (its {PLAN_NAME} is damaged)")
            continue
        if plan is None:
            continue
        missing, number = len(SHARD_FILES.missing(plan.units, folder)), len(plan.units)
        if missing:
            lacking.append(f"{path_text(folder)} ({number - missing} of {number} shards)")
        elif number:
            complete.append(CompletedShards(folder=folder, plan=plan, when=_when(folder, plan)))
    if not complete:
        found = ", ".join(lacking) or "none"
        raise PipelineError(
            f"{where}: expected a complete folder of shards, got {found}; run `make demo` or "
            "`make detect DATASET=...` first (`orn demo`, `orn detect`)"
        )
    return replace(max(complete, key=attrgetter("when")), incomplete=tuple(lacking))


def _when(folder: Path, plan: Plan) -> datetime:
    """Return the time of the last shard."""
    times = (shard_path(folder, unit.index).stat().st_mtime for unit in plan.units)
    return datetime.fromtimestamp(max(times))
