"""The attributes of all shards of a folder in one file, so that a large folder opens in a second.

The index lies beside the plan and is never needed: a shard that it does not have, or has with
another size or time of change, is read itself, and the index is then written anew, whole or not at
all. A folder that cannot be written to goes without. Its first line is what shards have in common,
such as the detector; each further line is a shard.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, TypeAdapter

from shared.errors import PipelineError, ShardNotFoundError
from shared.jobs.atomic_file import write_text
from shared.shards.plan import SHARD_PATTERN
from shared.shards.schema import READ_STRICTLY, FailedVideo, ShardAttributes, VideoEntry
from shared.shards.zarr_zip import read_attributes

__all__ = ["INDEX_NAME", "folder_attributes", "shard_paths"]

logger = logging.getLogger(__name__)

INDEX_NAME = "shards.index.json"
_MOST_LINE_BYTES = 8 * 2**20
"""As a shard's own attributes."""
_LEAST_SHARDS = 100
"""A folder with fewer opens as fast without an index."""

_Stamp = tuple[int, int]
"""Size and time of change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """The first line."""

    __pydantic_config__: ClassVar = READ_STRICTLY

    format: Literal["shard-index 2"] = "shard-index 2"
    common: tuple[ShardAttributes, ...]
    """Attributes without videos."""


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


_HEAD, _ROW = TypeAdapter(_Head), TypeAdapter(_Row)


def shard_paths(folder: Path) -> tuple[Path, ...]:
    """The shards in a folder, in the order of their units.

    Raises:
        ShardNotFoundError: if there is no such folder, or no shard in it.
    """
    paths = sorted(folder.glob(SHARD_PATTERN)) if folder.is_dir() else []
    if not paths:
        found = "none in it" if folder.is_dir() else "no such folder"
        raise ShardNotFoundError(
            f"{folder}: wanted a folder with shards (shard-000000.zarr.zip, ...), found {found}; "
            "run `orn detect` first"
        )
    return tuple(paths)


def folder_attributes(folder: Path) -> dict[Path, ShardAttributes]:
    """The attributes of every shard of a folder, in the order of their units.

    Raises:
        ShardNotFoundError: if there is no such folder, or no shard in it.
        ShardFormatError: if a shard that the index does not know is damaged.
    """
    paths = shard_paths(folder)
    if len(paths) < _LEAST_SHARDS:
        return {path: _read(path) for path in paths}
    stamps = {path: _stamp(path) for path in paths}
    known = _load(folder, most_bytes=sum(size for size, _ in stamps.values()))
    found = {
        path: known[path.name, stamp] if (path.name, stamp) in known else _read(path)
        for path, stamp in stamps.items()
    }
    if known.keys() != {(path.name, stamp) for path, stamp in stamps.items()}:
        try:
            _save(folder, {(path.name, stamps[path]): each for path, each in found.items()})
        except PipelineError as err:
            logger.debug("%s: goes without an index (%s)", folder, err)
    return found


def _read(path: Path) -> ShardAttributes:
    return ShardAttributes.from_json(read_attributes(path), source=str(path))


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except FileNotFoundError as err:
        raise ShardNotFoundError(f"{path}: no such shard") from err
    return status.st_size, status.st_mtime_ns


def _save(folder: Path, shards: Mapping[tuple[str, _Stamp], ShardAttributes]) -> None:
    common: dict[str, int] = {}
    heads: list[ShardAttributes] = []
    rows = []
    for (name, stamp), each in shards.items():
        head = replace(each, videos=(), failed=())
        number = common.setdefault(json.dumps(head.to_json()), len(common))
        heads += [head] if number == len(heads) else []
        row = _Row(name=name, stamp=stamp, common=number, videos=each.videos, failed=each.failed)
        rows.append(asdict(row))
    lines = [asdict(_Head(common=tuple(heads))), *rows]
    text = "\n".join(json.dumps(line, separators=(",", ":")) for line in lines)
    write_text(folder / INDEX_NAME, text + "\n")


def _load(folder: Path, *, most_bytes: int) -> dict[tuple[str, _Stamp], ShardAttributes]:
    """What the index of a folder says; nothing where there is none that can be read.

    Args:
        folder: the folder.
        most_bytes: size of all its shards, which say the same and more.
    """
    path = folder / INDEX_NAME
    try:
        if not path.is_file():
            return {}
        if path.stat().st_size > most_bytes:
            raise ValueError("larger than the shards")
        lines = _lines(path)
        head = _HEAD.validate_json(next(lines))
        rows = [_ROW.validate_json(line) for line in lines]
        return {
            (row.name, row.stamp): replace(
                head.common[row.common], videos=row.videos, failed=row.failed
            )
            for row in rows
        }
    except (OSError, LookupError, StopIteration, ValueError) as err:
        logger.debug("%s: not used (%s)", path, err)
        return {}


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(_MOST_LINE_BYTES):
            yield line
