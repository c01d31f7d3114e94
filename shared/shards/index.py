"""What is known of all shards of a folder in one file, so that a large folder opens in a second and
none of its shards is opened before it is read from.

The index lies beside the plan and is never needed: a shard that it does not have, or has with
another size or time of change, is read itself, and the index is then written anew, whole or not at
all. A folder that cannot be written to goes without. Its first line is what shards have in common,
such as the detector; each further line is a shard, its attributes and where its chunks lie. Behind
each line stands its CRC-32C.
"""

import base64
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BufferedReader
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import google_crc32c
import numpy as np
from pydantic import Field, TypeAdapter

from orn.shared.config.bounded import open_file
from orn.shared.data_files import Stamp, stamp_of
from orn.shared.errors import PipelineError, ShardFormatError, ShardNotFoundError
from orn.shared.jobs.atomic_file import write_bytes
from orn.shared.jobs.garbage import uncollected
from orn.shared.jobs.plan import PLAN_NAME
from orn.shared.jobs.workers import in_threads
from orn.shared.shards.files import SHARD_PATTERN
from orn.shared.shards.kept_files import kept_file
from orn.shared.shards.record import ShardRecord, shard_record
from orn.shared.shards.schema import (
    ARRAYS,
    READ_STRICTLY,
    FailedVideo,
    ShardAttributes,
    VideoEntry,
    arrays_of,
)
from orn.shared.shards.sealed_zip import MOST_MEMBER_BYTES
from orn.shared.shards.zarr_documents import MEMBER, MOST_CHUNK_BYTES, ArrayLayout
from orn.shared.shards.zarr_zip import GroupLayout

logger = logging.getLogger(__name__)

INDEX_NAME = "shards.index.json"
_MOST_LINE_BYTES = 16 * 2**20
"""Twice what a shard's own attributes may have."""
_LEAST_SHARDS = 100
"""A folder with fewer opens as fast without an index."""
_SEAL_BYTES = len(b" 00000000\n")

_Rows = Annotated[int, Field(ge=0, lt=2**48)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The first line."""

    __pydantic_config__: ClassVar = READ_STRICTLY

    format: Literal["shard-index 3"] = "shard-index 3"
    common: tuple[ShardAttributes, ...]
    """Attributes without videos."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunks:
    """Where the chunks of a shard lie."""

    __pydantic_config__: ClassVar = READ_STRICTLY

    sealed: bool
    rows: tuple[_Rows, ...]
    """Of each array, in the order of `ARRAYS`; without one that the shard lacks."""
    rows_per_chunk: tuple[Annotated[_Rows, Field(ge=1)], ...]
    members: str
    """`MEMBER` of the chunks of all of them, in base64."""

    @classmethod
    def of(cls, layout: GroupLayout) -> Self | None:
        """None of a shard with arrays beside those of the format."""
        if not layout.arrays.keys() <= ARRAYS.keys():
            return None
        arrays = [layout.arrays[name] for name in ARRAYS if name in layout.arrays]
        members = b"".join(array.members_M.tobytes() for array in arrays)
        return cls(
            sealed=layout.sealed,
            rows=tuple(array.num_rows for array in arrays),
            rows_per_chunk=tuple(array.rows_per_chunk for array in arrays),
            members=base64.b64encode(members).decode(),
        )

    def layout(self, stamp: Stamp, *, class_scores: bool) -> GroupLayout:
        """Raises ValueError where that is none that a shard could have."""
        names = arrays_of(class_scores=class_scores)
        members_M = np.frombuffer(base64.b64decode(self.members, validate=True), MEMBER)
        arrays: dict[str, ArrayLayout] = {}
        start = 0
        for name, rows, per_chunk in zip(names, self.rows, self.rows_per_chunk, strict=True):
            stop = start - (-rows // per_chunk)
            arrays[name] = ArrayLayout(
                num_rows=rows,
                row=ARRAYS[name].row,
                dtype=ARRAYS[name].dtype,
                rows_per_chunk=per_chunk,
                members_M=members_M[start:stop],
            )
            start = stop
        if (
            start != len(members_M)
            or any(array.chunk_bytes > MOST_CHUNK_BYTES for array in arrays.values())
            or (members_M["num_bytes"] > MOST_MEMBER_BYTES).any()
            or (members_M["place"] < 0).any()
        ):
            raise ValueError("chunks that no shard has")
        return GroupLayout(stamp=stamp, sealed=self.sealed, arrays=arrays)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A line of a shard."""

    __pydantic_config__: ClassVar = READ_STRICTLY

    name: str
    stamp: tuple[int, int]
    common: Annotated[int, Field(ge=0)]
    """Place in the head."""
    videos: tuple[VideoEntry, ...]
    failed: tuple[FailedVideo, ...]
    chunks: _Chunks | None

    def attributes(self, head: _Head) -> ShardAttributes:
        return replace(head.common[self.common], videos=self.videos, failed=self.failed)


_HEAD, _ROW = TypeAdapter(_Head), TypeAdapter(_Row)

LinePlace = tuple[int, int]
"""Where a line begins in the index, and its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderIndex:
    """An index that fits its folder; small, also as a pickle."""

    path: Path
    stamp: Stamp
    head: _Head

    def record(self, shard: Path, line: LinePlace) -> ShardRecord | None:
        """What the index knows of a shard, None where it does not; reads nothing else."""
        try:
            text = kept_file(self.path, self.stamp).read(*line)
            row = _ROW.validate_json(_unsealed(text))
            if row.name != shard.name or row.chunks is None:
                return None
            attributes = row.attributes(self.head)
            layout = row.chunks.layout(row.stamp, class_scores=attributes.class_scores)
            return ShardRecord.checked(shard, attributes, layout)
        except (OSError, LookupError, ValueError) as err:
            logger.debug("%s: not used for %s (%s)", self.path, shard.name, err)
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFolder:
    """The shards of a folder."""

    attributes: Mapping[Path, ShardAttributes]
    """In the order of their units."""
    index: FolderIndex | None
    lines: Mapping[Path, LinePlace]
    """Of the shards that the index has."""


def shard_paths(folder: Path) -> tuple[Path, ...]:
    """The shards in a folder, in the order of their units.

    Raises:
        ShardNotFoundError: if there is no such folder, or no shard in it.
    """
    paths = sorted(folder.glob(SHARD_PATTERN), key=str) if folder.is_dir() else []
    if not paths:
        found = "none in it" if folder.is_dir() else "no such folder"
        raise ShardNotFoundError(
            f"{folder}: wanted a folder with shards (shard-000000.zarr.zip, ...), found {found}; "
            "run `orn detect` first"
        )
    return tuple(paths)


def files_of_shards(folder: Path) -> Iterator[Path]:
    """Return the files of a folder of shards that commands read, none where there is no folder."""
    for pattern in (SHARD_PATTERN, PLAN_NAME, INDEX_NAME):
        yield from folder.glob(pattern)


def open_folder(folder: Path) -> OpenedFolder:
    """What is known of every shard of a folder.

    Raises:
        ShardNotFoundError: if there is no such folder, or no shard in it.
        ShardFormatError: if a shard that the index does not know is damaged.
    """
    paths = shard_paths(folder)
    if len(paths) < _LEAST_SHARDS:
        attributes = {path: shard_record(path).attributes for path in paths}
        return OpenedFolder(attributes=attributes, index=None, lines={})
    stamps = dict(zip(paths, in_threads(_stamp, paths), strict=True))
    known = _load(folder, stamps)
    return known if known.attributes.keys() == stamps.keys() else _made(folder, stamps, known)


def _stamp(path: Path) -> Stamp:
    try:
        return stamp_of(path.stat())
    except FileNotFoundError as err:
        raise ShardNotFoundError(f"{path}: no such shard") from err


def _made(folder: Path, stamps: Mapping[Path, Stamp], known: OpenedFolder) -> OpenedFolder:
    """The shards of a folder whose index does not know them all; writes one that does."""
    old = known.index
    commons = [] if old is None else [*old.head.common]
    attributes: dict[Path, ShardAttributes] = {}
    texts: list[bytes] = []
    for path, stamp in stamps.items():
        if old is not None and path in known.attributes:
            with suppress(OSError, ShardFormatError):
                texts.append(kept_file(old.path, old.stamp).read(*known.lines[path]))
                attributes[path] = known.attributes[path]
                continue
        record = shard_record(path)
        attributes[path] = record.attributes
        common = replace(record.attributes, videos=(), failed=())
        if common not in commons:
            commons.append(common)
        row = _Row(
            name=path.name,
            stamp=stamp,
            common=commons.index(common),
            videos=record.attributes.videos,
            failed=record.attributes.failed,
            chunks=_Chunks.of(record.layout),
        )
        texts.append(_sealed(_ROW.dump_json(row)))
    head = _Head(common=tuple(commons))
    texts.insert(0, _sealed(_HEAD.dump_json(head)))
    target = folder / INDEX_NAME
    try:
        write_bytes(target, b"".join(texts))
        index = FolderIndex(path=target, stamp=stamp_of(target.stat()), head=head)
    except (OSError, PipelineError) as err:
        logger.debug("%s: goes without an index (%s)", folder, err)
        return OpenedFolder(attributes=attributes, index=None, lines={})
    borders = pairwise(accumulate(map(len, texts)))
    lines = {
        path: (start, stop - start) for path, (start, stop) in zip(stamps, borders, strict=True)
    }
    return OpenedFolder(attributes=attributes, index=index, lines=lines)


def _load(folder: Path, stamps: Mapping[Path, Stamp]) -> OpenedFolder:
    """What the index of a folder says of the shards that are as it knows them; nothing where there
    is none that can be read."""
    path = folder / INDEX_NAME
    shards = {shard.name: shard for shard in stamps}
    attributes: dict[Path, ShardAttributes] = {}
    places: dict[Path, LinePlace] = {}
    try:
        with uncollected(), open_file(path, error=ShardFormatError) as file:
            stamp = stamp_of(os.fstat(file.fileno()))
            if stamp[0] > sum(size for size, _ in stamps.values()):
                raise ValueError("larger than the shards")
            lines = _lines(file)
            _, text = next(lines)
            head = _HEAD.validate_json(_unsealed(text))
            for place, text in lines:
                row = _ROW.validate_json(_unsealed(text))
                shard = shards.get(row.name)
                if shard is not None and stamps[shard] == row.stamp:
                    attributes[shard] = row.attributes(head)
                    places[shard] = place, len(text)
    except (OSError, LookupError, ShardFormatError, StopIteration, ValueError) as err:
        logger.debug("%s: not used (%s)", path, err)
        return OpenedFolder(attributes={}, index=None, lines={})
    return OpenedFolder(
        attributes={shard: attributes[shard] for shard in stamps if shard in attributes},
        index=FolderIndex(path=path, stamp=stamp, head=head),
        lines=places,
    )


def _lines(file: BufferedReader) -> Iterator[tuple[int, bytes]]:
    """Each line with its place; one that is too long in pieces, whose checksums cannot match."""
    place = 0
    while line := file.readline(_MOST_LINE_BYTES):
        yield place, line
        place += len(line)


def _sealed(text: bytes) -> bytes:
    return text + _seal(text)


def _unsealed(line: bytes) -> bytes:
    """What stands before the seal.

    Raises:
        ValueError: if they do not match.
    """
    text, seal = line[:-_SEAL_BYTES], line[-_SEAL_BYTES:]
    if seal != _seal(text):
        raise ValueError("a line whose checksum does not match")
    return text


def _seal(text: bytes) -> bytes:
    return b" %08x\n" % google_crc32c.value(text)
