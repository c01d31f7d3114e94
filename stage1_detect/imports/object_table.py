"""A temporary SQLite table of the records in a source, by video and frame.

Records are added as they lie in the source, where objects of COCO can come before their image. The
worker of a video then reads its frames in order.
"""

import hashlib
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
from orn.stage1_detect.imports.source_objects import SourceFile, SourceVideo

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -65536;
CREATE TABLE frames(file INT, video TEXT, place REAL, image TEXT, number INT, content BLOB);
CREATE TABLE objects(file INT, image TEXT, number INT, content BLOB);
BEGIN;
"""
_INDEXES = """
CREATE INDEX places ON frames(file, video, place);
CREATE INDEX images ON frames(file, image) WHERE image IS NOT NULL;
CREATE INDEX objects_of_image ON objects(file, image);
"""
_REPEATED_IMAGE = """
SELECT file, image FROM frames WHERE image IS NOT NULL
GROUP BY file, image HAVING count(*) > 1 LIMIT 1
"""
_WITHOUT_IMAGE = """
SELECT file, image, number FROM objects AS o WHERE NOT EXISTS
(SELECT 1 FROM frames AS f WHERE f.file = o.file AND f.image = o.image) LIMIT 1
"""
_VIDEOS = """
SELECT file, video, count(DISTINCT place) FROM frames GROUP BY file, video ORDER BY min(rowid)
"""
_OF_VIDEO = """
FROM frames AS f LEFT JOIN objects AS o ON o.file = f.file AND o.image = f.image
WHERE f.file = ? AND f.video = ?
"""
_CONTENT = """
SELECT f.file, f.video, f.place, coalesce(o.content, f.content)
FROM frames AS f LEFT JOIN objects AS o ON o.file = f.file AND o.image = f.image
ORDER BY f.file, f.video, f.place, f.rowid, o.rowid
"""
_PLACES = (
    f"SELECT place, count(coalesce(o.content, f.content)) {_OF_VIDEO} GROUP BY place ORDER BY place"
)
_RECORDS = f"""
SELECT place, coalesce(o.number, f.number), coalesce(o.content, f.content) {_OF_VIDEO}
ORDER BY place, f.rowid, o.rowid
"""


class ObjectTable:
    """Writer of a table: `begin` a file, add its records, and finally `finish`."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(_TABLES)
        self._files: list[SourceFile] = []

    def begin(self, path: Path, *, images: Path, first: int, rate: float | None) -> SourceFile:
        """Begin a file; for arguments see `SourceFile`."""
        number = len(self._files)
        file = SourceFile(number=number, path=path, images=images, first=first, rate=rate)
        self._files.append(file)
        return file

    def add_frame(
        self,
        video_id: str,
        frame: int | None,
        seconds: float | None = None,
        *,
        image: Any = None,
        number: int = 0,
        content: str | bytes | None = None,
    ) -> None:
        """Add a frame, given by its time or its number.

        Args:
            video_id: id of the video in the source.
            frame: number of the frame.
            seconds: time of the frame; given for all frames in a file, or for none.
            image: id by which objects refer to it.
            number: number of its record in the file.
            content: its record; None if it has no objects, or these are added separately.
        """
        file = self._files[-1]
        by_time = seconds is not None or file.rate is not None
        if file.by_time not in (None, by_time):
            raise ObjectImportError(
                "expected times for all frames or none, got some; add the rest", where=file.path
            )
        file.by_time = by_time
        place = seconds
        if place is None:
            place = ((frame or 0) - file.first) / (file.rate or 1)
        key = None if image is None else repr(image)
        row = (file.number, video_id, place, key, number, content)
        self._database.execute("INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?)", row)

    def add_object(self, image: Any, number: int, content: str) -> None:
        """Add an object of an image."""
        row = (len(self._files) - 1, repr(image), number, content)
        self._database.execute("INSERT INTO objects VALUES (?, ?, ?, ?)", row)

    def finish(self) -> list[SourceVideo]:
        """Complete the table, and return the videos of all files.

        Raises:
            ObjectImportError: if two images have the same id, or an object has no image.
        """
        with closing(self._database) as database:
            database.executescript(_INDEXES)
            for file, image in database.execute(_REPEATED_IMAGE):
                raise ObjectImportError(
                    f"expected unique ids of images, got {image} twice; correct the file",
                    where=self._files[file].images,
                )
            for file, image, number in database.execute(_WITHOUT_IMAGE):
                raise ObjectImportError(
                    f"record {number:,}: expected an image_id of "
                    f"{self._files[file].images.name}, got {image}; export both files in one step",
                    where=self._files[file].path,
                )
            digests = {
                (number, video_id): self._digest(number, video_id, rows)
                for (number, video_id), rows in groupby(
                    database.execute(_CONTENT), key=itemgetter(0, 1)
                )
            }
            return [
                SourceVideo(
                    id=video_id,
                    path=self._files[number].path,
                    file=self._files[number],
                    num_frames=num_frames,
                    digest=digests[number, video_id],
                )
                for number, video_id, num_frames in database.execute(_VIDEOS)
            ]

    def _digest(self, number: int, video_id: str, rows: Iterable[tuple[Any, ...]]) -> str:
        """Return the digest of the records of a video."""
        file = self._files[number]
        digest = hashlib.sha256(repr((file.grids.get(video_id), dict(file.legend))).encode())
        for _, _, place, content in rows:
            data = content.encode() if isinstance(content, str) else content or b""
            digest.update(f"\0{place} {len(data)}\0".encode() + data)
        return f"sha256:{digest.hexdigest()}"


def places_of(table: Path, video: SourceVideo) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the (P,) increasing places of a video's frames, and their numbers of objects."""
    with _opened(table) as database:
        rows = database.execute(_PLACES, _key(video)).fetchall()
    places_P, numbers_P = zip(*rows, strict=True)
    return np.array(places_P, np.float64), np.array(numbers_P, np.int64)


def records_of(
    table: Path, video: SourceVideo
) -> Iterator[tuple[float, Iterator[tuple[int, str | bytes]]]]:
    """Yield the place of each frame of a video, in order, and an iterator over the number and
    content of each of its records."""
    with _opened(table) as database:
        rows = database.execute(_RECORDS, _key(video))
        for place, group in groupby(rows, key=itemgetter(0)):
            yield place, ((number, content) for _, number, content in group if content is not None)


def _key(video: SourceVideo) -> tuple[int, str]:
    assert video.file is not None
    return video.file.number, video.id


@contextmanager
def _opened(table: Path) -> Iterator[sqlite3.Connection]:
    address = f"{table.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as database:
        yield database
