"""A temporary SQLite table of the objects in a source, by video and frame.

Objects are added as they lie in the source. The worker of a video then reads its frames in order.

Axes: P distinct frames of a video in the source.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports.source_objects import SourceObject, SourceRecord, SourceVideo

_TABLE = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -65536;
CREATE TABLE records(
    file INT, video TEXT, position REAL, name TEXT, score REAL, x1 REAL, y1 REAL, x2 REAL, y2 REAL,
    mask BLOB, is_crowd INT, track INT, fractions BLOB, problem_at TEXT, problem TEXT
);
BEGIN;
"""
_ADD = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INDEX = "CREATE INDEX positions ON records(file, video, position)"
_CONTENT = (
    *("position", "name", "score", "x1", "y1", "x2", "y2", "mask", "is_crowd", "track"),
    *("fractions", "problem"),
)
"""Columns of a digest: `problem_at` may be the number of a line."""
_ALL = f"""
SELECT file, video, {", ".join(_CONTENT)} FROM records ORDER BY file, video, {", ".join(_CONTENT)}
"""
_VIDEOS = """
SELECT file, video, count(DISTINCT position) FROM records GROUP BY file, video ORDER BY min(rowid)
"""
_OF_VIDEO = "FROM records WHERE file = ? AND video = ?"
_POSITIONS = f"""
SELECT position, count(coalesce(name, problem)) {_OF_VIDEO} GROUP BY position ORDER BY position
"""
_RECORDS = f"SELECT * {_OF_VIDEO} ORDER BY position, rowid"
_NO_OBJECT = (None,) * 12
_POSITION = itemgetter(2)


class ObjectTable:
    """Writer of a table: `add` the files of a source, and finally `finish`."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(_TABLE)
        self._files: list[dict[str, Any]] = []
        self._grids: dict[tuple[int, str], tuple[int, int] | None] = {}

    def add(
        self, path: Path, records: Iterable[SourceRecord], *, first: int, rate: float | None
    ) -> None:
        """Add the records of a file.

        Args:
            path: the file.
            records: its records, consumed lazily.
            first: number of a video's first frame.
            rate: frame rate of the frame numbers in Hz; None for the video's frame rate.

        Raises:
            ObjectImportError: if only some records have times.
        """
        number, by_time = len(self._files), None
        for record in records:
            is_timed = record.seconds is not None or rate is not None
            if by_time not in (None, is_timed):
                raise ObjectImportError(
                    "expected times for all frames or none, got some; add the rest", where=path
                )
            by_time, position = is_timed, record.seconds
            if position is None:
                position = ((record.frame or 0) - first) / (rate or 1)
            key = number, record.video_id
            grid = self._grids.setdefault(key, record.grid) or record.grid
            if record.grid not in (None, grid):
                raise ObjectImportError(
                    f"video {record.video_id!r}: expected images of one size, got {grid} and "
                    f"{record.grid} (height, width); export all images of a video at one size",
                    where=path,
                )
            self._grids[key] = grid
            row = (number, record.video_id, position, *_columns(record.content))
            self._database.execute(_ADD, row)
        self._files.append({"path": path, "first": first, "by_time": bool(by_time)})

    def finish(self) -> list[SourceVideo]:
        """Complete the table, and return the videos of all files."""
        with closing(self._database) as database:
            database.executescript(_INDEX)
            digests = {
                key: _digest(self._grids[key], rows)
                for key, rows in groupby(database.execute(_ALL), key=lambda row: (row[0], row[1]))
            }
            return [
                SourceVideo(
                    id=video_id,
                    file=number,
                    num_frames=num_frames,
                    grid=self._grids[number, video_id],
                    digest=digests[number, video_id],
                    **self._files[number],
                )
                for number, video_id, num_frames in database.execute(_VIDEOS)
            ]


def _columns(content: SourceObject | ObjectImportError | None) -> tuple[Any, ...]:
    """Return the columns of a record after its position."""
    if content is None:
        return _NO_OBJECT
    if isinstance(content, ObjectImportError):
        return (*_NO_OBJECT[:10], content.where, content.reason)
    box = content.box or (None,) * 4
    return (
        content.name,
        content.score,
        *box,
        content.mask,
        content.is_crowd,
        content.track,
        None if content.fractions is None else np.array(content.fractions).tobytes(),
        None,
        None,
    )


def _digest(grid: tuple[int, int] | None, rows: Iterable[tuple[Any, ...]]) -> str:
    """Return the digest of the records of a video, sorted, by the names of their columns; NULL is
    left out, so that a new column changes no digest."""
    encoder = json.JSONEncoder(default=bytes.hex)
    digest = hashlib.sha256(encoder.encode(grid).encode())
    for row in rows:
        named = zip(_CONTENT, row[2:], strict=True)
        record = {name: value for name, value in named if value is not None}
        digest.update(encoder.encode(record).encode())
    return f"sha256:{digest.hexdigest()}"


def positions_of(table: Path, video: SourceVideo) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the (P,) increasing positions of a video's frames, and their numbers of objects."""
    with _opened(table) as database:
        rows = database.execute(_POSITIONS, (video.file, video.id)).fetchall()
    positions_P, numbers_P = zip(*rows, strict=True)
    return np.array(positions_P, np.float64), np.array(numbers_P, np.int64)


def objects_of(table: Path, video: SourceVideo) -> Iterator[tuple[float, Iterator[SourceObject]]]:
    """Yield the position of each frame of a video, in order, and an iterator over its objects,
    which raises ObjectImportError for an invalid one."""
    with _opened(table) as database:
        rows = database.execute(_RECORDS, (video.file, video.id))
        for position, group in groupby(rows, key=_POSITION):
            yield position, (_object(row[3:]) for row in group if row[3:] != _NO_OBJECT)


def _object(columns: tuple[Any, ...]) -> SourceObject:
    name, score, *box, mask, is_crowd, track, fractions, problem_at, problem = columns
    if problem is not None:
        raise ObjectImportError(problem, where=problem_at)
    return SourceObject(
        name=name,
        score=score,
        box=None if box[0] is None else tuple(box),
        mask=mask,
        is_crowd=bool(is_crowd),
        track=track,
        fractions=None if fractions is None else np.frombuffer(fractions).tolist(),
    )


@contextmanager
def _opened(table: Path) -> Iterator[sqlite3.Connection]:
    address = f"{table.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as database:
        yield database
