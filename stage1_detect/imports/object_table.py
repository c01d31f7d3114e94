"""A temporary SQLite table of the records in a source, by video and frame.

Records are added in any order, as they lie in the source; objects of COCO can come before their
image. The worker of a video reads its frames in order.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports.source import SourceVideo

MOST_RECORDS = 2**23
"""Maximum number of records in a file; Something-Else has 7.2 million frames."""
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -65536;
CREATE TABLE frames(video INTEGER, place REAL, image TEXT, number INTEGER, content BLOB);
CREATE TABLE objects(image TEXT, number INTEGER, content BLOB);
"""
_INDEXES = """
CREATE INDEX places ON frames(video, place);
CREATE INDEX images ON frames(image) WHERE image IS NOT NULL;
CREATE INDEX objects_of_image ON objects(image);
"""
_REPEATED = """
SELECT image FROM frames WHERE image IS NOT NULL GROUP BY image HAVING count(*) > 1 LIMIT 1
"""
_DANGLING = """
SELECT image, number FROM objects
WHERE NOT EXISTS (SELECT 1 FROM frames WHERE frames.image = objects.image) LIMIT 1
"""
_PLACES = """
SELECT f.place, count(coalesce(o.content, f.content))
FROM frames f LEFT JOIN objects o ON o.image = f.image
WHERE f.video = ? GROUP BY f.place ORDER BY f.place
"""
_RECORDS = """
SELECT f.place, coalesce(o.number, f.number), coalesce(o.content, f.content)
FROM frames f LEFT JOIN objects o ON o.image = f.image
WHERE f.video = ? ORDER BY f.place, f.rowid, o.rowid
"""


class ObjectTable:
    """Writer of a table; `finish` completes it.

    Raises:
        ObjectImportError: also by all methods, if the table cannot be written.
    """

    def __init__(self, path: Path) -> None:
        with _readable(path):
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.executescript(_TABLES)
            self._database.execute("BEGIN")
        self.path = path
        self.videos: list[SourceVideo] = []
        """Videos of all files."""
        self.images: list[tuple[Path, Path]] = []
        """Files of objects and of their images, by number of the file."""

    def add_frame(self, *values: Any) -> None:
        """Add a row of `frames`."""
        with _readable(self.path):
            self._database.execute("INSERT INTO frames VALUES (?, ?, ?, ?, ?)", values)

    def add_object(self, *values: Any) -> None:
        """Add a row of `objects`."""
        with _readable(self.path):
            self._database.execute("INSERT INTO objects VALUES (?, ?, ?)", values)

    def finish(self) -> None:
        """Write the table to disk, and close it.

        Raises:
            ObjectImportError: if two images have the same id, or an object has no image.
        """
        with _readable(self.path), closing(self._database) as database:
            database.execute("COMMIT")
            database.executescript(_INDEXES)
            for (image,) in database.execute(_REPEATED):
                file, _, image_id = image.partition(":")
                raise ObjectImportError(
                    f"{self.images[int(file)][1]}: expected unique ids of images, got {image_id} "
                    "twice; correct the file"
                )
            for image, number in database.execute(_DANGLING):
                file, _, image_id = image.partition(":")
                path, images = self.images[int(file)]
                raise ObjectImportError(
                    f"{path}: record {number:,}: expected an image_id of {images.name}, got "
                    f"{image_id}; export both files in one step"
                )
            counted = "SELECT video, count(DISTINCT place) FROM frames GROUP BY video"
            num_frames = dict(database.execute(counted))
        self.videos = [
            replace(video, num_frames=num_frames[number])
            for number, video in enumerate(self.videos)
        ]


class FileRecords:
    """Adds the records of one file to a table."""

    def __init__(
        self,
        table: ObjectTable,
        path: Path,
        *,
        images: Path | None = None,
        first: int = 0,
        rate: float | None = None,
    ) -> None:
        """Begin a file.

        Args:
            table: the table.
            path: the file.
            images: file with the images of its objects, if there is one.
            first: number of a video's first frame.
            rate: frame rate of the frame numbers in Hz; None for the video's frame rate.
        """
        self._table, self._path, self._first, self._rate = table, path, first, rate
        self._by_time = rate is not None
        self._numbers: dict[str, int] = {}
        self._num_records = 0
        self._file = len(table.images)
        table.images.append((path, images or path))

    def __len__(self) -> int:
        return self._num_records

    def add(
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
        by_time = seconds is not None or self._rate is not None
        if self._numbers and by_time != self._by_time:
            raise ObjectImportError(
                f"{self._path}: expected times for all frames or none, got some; add the rest"
            )
        self._by_time = by_time
        self._count()
        place = seconds
        if place is None:
            place = ((frame or 0) - self._first) / (self._rate or 1)
        start = len(self._table.videos)
        video = start + self._numbers.setdefault(video_id, len(self._numbers))
        key = None if image is None else self._key(image)
        self._table.add_frame(video, place, key, number, content)

    def add_object(self, image: Any, number: int, content: str) -> None:
        """Add an object of an image."""
        self._count()
        self._table.add_object(self._key(image), number, content)

    def finish(
        self, *, grids: Mapping[str, tuple[int, int]] | None = None, legend: Any = None
    ) -> None:
        """Add the videos of the file to the table, with their grids and a common legend."""
        start = len(self._table.videos)
        self._table.videos += [
            SourceVideo(
                id=video_id,
                path=self._path,
                number=start + number,
                by_time=self._by_time,
                first_frame=self._first,
                grid=(grids or {}).get(video_id),
                legend=legend or {},
            )
            for video_id, number in self._numbers.items()
        ]

    def _key(self, image: Any) -> str:
        return f"{self._file}:{image!r}"

    def _count(self) -> None:
        if self._num_records == MOST_RECORDS:
            raise ObjectImportError(
                f"{self._path}: expected at most {MOST_RECORDS:,} records, got more; split the "
                "file by video"
            )
        self._num_records += 1


def places_of(table: Path, video: SourceVideo) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the (P,) increasing places of a video's frames, and their numbers of objects."""
    with _opened(table) as database:
        rows = database.execute(_PLACES, (video.number,)).fetchall()
    places_P, numbers_P = zip(*rows, strict=True)
    return np.array(places_P, np.float64), np.array(numbers_P, np.int64)


def records_of(
    table: Path, video: SourceVideo
) -> Iterator[tuple[float, Iterator[tuple[int, str | bytes]]]]:
    """Yield the place of each frame of a video, in order, and an iterator over the number and
    content of each of its records."""
    with _opened(table) as database:
        rows = database.execute(_RECORDS, (video.number,))
        for place, group in groupby(rows, key=itemgetter(0)):
            yield place, ((number, content) for _, number, content in group if content is not None)


@contextmanager
def _opened(table: Path) -> Iterator[sqlite3.Connection]:
    with _readable(table):
        database = sqlite3.connect(f"{table.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        with closing(database):
            yield database


@contextmanager
def _readable(table: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as err:
        raise ObjectImportError(
            f"{table}: cannot be used ({err}); check the free space of its folder"
        ) from err
