"""The attributes of all shards of a folder in one file, so that a large folder opens in a second.

The index lies beside the plan and is never needed: a shard that it does not have, or has with
another size or time of change, is read itself, and the index is then written anew, whole or not at
all. A folder that cannot be written to goes without.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import astuple, fields, replace
from pathlib import Path

from shared.errors import PipelineError, ShardNotFoundError
from shared.jobs.atomic_file import write_text
from shared.shards.plan import SHARD_PATTERN
from shared.shards.schema import FailedVideo, ShardAttributes, VideoEntry
from shared.shards.zarr_zip import read_attributes

__all__ = ["INDEX_NAME", "folder_attributes", "shard_paths"]

logger = logging.getLogger(__name__)

INDEX_NAME = "shards.index.json"
_FORMAT = "shard-index 1"
_LEAST_SHARDS = 100
"""A folder with fewer opens as fast without an index."""

_Stamp = tuple[int, int]
"""Size and time of change."""
_VIDEO_FIELDS = tuple(field.name for field in fields(VideoEntry))


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
    known = _load(folder)
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
    """What shards have in common, such as the detector, is written once."""
    common: dict[str, int] = {}
    rows = []
    for (name, stamp), each in shards.items():
        shared = json.dumps(replace(each, videos=(), failed=()).to_json())
        videos = [astuple(video) for video in each.videos]
        failed = [astuple(video) for video in each.failed]
        rows.append((name, stamp, common.setdefault(shared, len(common)), videos, failed))
    document = {"format": _FORMAT, "common": [json.loads(each) for each in common], "shards": rows}
    write_text(folder / INDEX_NAME, json.dumps(document, separators=(",", ":")))


def _load(folder: Path) -> dict[tuple[str, _Stamp], ShardAttributes]:
    """What the index of a folder says; nothing where there is none that can be read."""
    path = folder / INDEX_NAME
    try:
        document = json.loads(path.read_text())
        if document["format"] != _FORMAT:
            return {}
        common = [ShardAttributes.from_json(e, source=str(path)) for e in document["common"]]
        return {
            (name, (size, changed)): replace(
                common[number],
                videos=tuple(
                    VideoEntry(**dict(zip(_VIDEO_FIELDS, values, strict=True))) for values in videos
                ),
                failed=tuple(FailedVideo(id=each, reason=reason) for each, reason in failed),
            )
            for name, (size, changed), number, videos, failed in document["shards"]
        }
    except FileNotFoundError:
        return {}
    except (OSError, PipelineError, LookupError, TypeError, ValueError) as err:
        logger.debug("%s: not used (%s)", path, err)
        return {}
