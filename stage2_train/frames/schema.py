"""Format of a clip store, version 3: a folder of whole HDF5 files; this page is its specification.

`clips-000000.h5`, `clips-000001.h5`, ... each hold some videos; of a video that is in several, the
file of the highest number counts. Attributes of a file: `format`, `format_version`, and of
`StoreSettings` those that are not None. Datasets have one axis: `jpeg`, bytes of JPEG files one
after another, and `TABLES`.

HDF5 checks its own metadata (`libver=("v110", "v110")`) and, by Fletcher-32 in chunks, the tables
of videos. What clips are read from, `jpeg` and `frames`, is contiguous, so that a picture takes one
call of the system: each row of `frames` has the CRC-32 of its picture, each video that of its rows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from orn.shared.config.fields import STRICT
from orn.shared.data_files import Stamp
from orn.shared.errors import ClipStoreError, VideoDecodeError
from orn.shared.jobs.plan import UnitFiles
from orn.shared.time_ranges import TimeRanges

FORMAT_NAME = "orn-clips"
FORMAT_VERSION = 3
CLIP_FILES = UnitFiles(stem="clips", suffix=".h5")
"""Names of the files of a store, as `glob` takes it."""
TEXT = "S"
"""Type of text: UTF-8 of a length that each file chooses."""
TABLES: dict[str, list[tuple[str, str]]] = {
    # a row a frame, those of a video together in order of time: its place in the decoded stream of
    # the source, from 0; presentation time; its JPEG file: first byte, counted from the video's
    # first one, number of bytes, CRC-32
    "frames": [
        ("index", "<i8"),
        ("seconds", "<f8"),
        ("start", "<i8"),
        ("size", "<u4"),
        ("crc32", "<u4"),
    ],
    # id of the manifest, `content_digest` of the source, its size and time of change; size of the
    # stored frames, pixels; first byte in `jpeg`, first row in `frames`, number of rows, and the
    # CRC-32 of these rows
    "videos": [
        ("id", TEXT),
        ("source_digest", TEXT),
        ("source_bytes", "<i8"),
        ("source_mtime_ns", "<i8"),
        ("height", "<i8"),
        ("width", "<i8"),
        ("first_byte", "<i8"),
        ("first_frame", "<i8"),
        ("num_frames", "<i8"),
        ("crc32", "<i8"),
    ],
    # times that are stored: row of the video; seconds, half-open, infinite where an end is open
    "ranges": [("video", "<i8"), ("start", "<f8"), ("stop", "<f8")],
    # videos of which nothing could be decoded
    "failed": [
        ("id", TEXT),
        ("reason", TEXT),
        ("source_bytes", "<i8"),
        ("source_mtime_ns", "<i8"),
    ],
}
CONTIGUOUS = ("jpeg", "frames")
"""Datasets that are not in chunks."""
MOST_PIXELS = 2**25
"""Of a stored frame: 7680 x 4320 and a little more, 100 MB once it is decoded."""
MOST_SIDE = 65_500
"""Longest side of a JPEG file for the library that writes it."""

_Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
_Count = Annotated[int, Field(ge=0, lt=2**40)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """What holds for every frame of a store: either `height` and `width`, or `short_side`."""

    __pydantic_config__: ClassVar = STRICT

    height: _Side | None = None
    """Rows of every stored frame, whatever the shape of the source."""
    width: _Side | None = None
    """Columns of every stored frame."""
    short_side: _Side | None = None
    """Length of the shorter side; the other one keeps the shape of the source."""
    jpeg_quality: Annotated[int, Field(ge=1, le=95)] = 92
    """Pillow's JPEG quality, 1..95."""
    rate: float | None = None
    """Frames a second that are picked; None for every frame."""

    def __post_init__(self) -> None:
        """Raises ClipStoreError unless rate is positive and size is a frame size."""
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise ClipStoreError(
                f"clip store: rate: expected more than 0 frames a second, got {self.rate}"
            )
        sides = (self.height, self.width)
        if (None in sides) == (self.short_side is None) or (sides.count(None) == 1):
            raise ClipStoreError(
                "clip store: expected a height and a width or a short side, got "
                f"height {self.height}, width {self.width}, short side {self.short_side}"
            )
        if self.short_side is None and not _is_size(self.height or 0, self.width or 0):
            raise ClipStoreError(f"clip store: expected {_FRAMES}, got {self.height}x{self.width}")

    def stored_size(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) of the stored frames of a source of `height` x `width` pixels.

        Raises:
            VideoDecodeError: if its shape gives a frame that is too large.
        """
        if self.height is not None and self.width is not None:
            return self.height, self.width
        assert self.short_side is not None
        per_pixel = self.short_side / min(height, width)
        rows, columns = (max(round(side * per_pixel), self.short_side) for side in (height, width))
        if not _is_size(rows, columns):
            raise VideoDecodeError(
                f"expected {_FRAMES}, got {rows}x{columns}, which the short side of "
                f"{self.short_side} gives a video of {height}x{width}"
            )
        return rows, columns

    def describe(self) -> str:
        """Return the settings in words, for messages."""
        size = f"{self.height}x{self.width}"
        if self.short_side is not None:
            size = f"short side {self.short_side}"
        rate = "every frame" if self.rate is None else f"{self.rate:g} frames a second"
        return f"frames of {size} at JPEG quality {self.jpeg_quality}, {rate}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVideo:
    """One video of a file."""

    __pydantic_config__: ClassVar = STRICT

    id: str
    """Id of the manifest."""
    source_digest: str
    """`content_digest` of the file or folder that was decoded."""
    source: Stamp
    """Its size and time of change."""
    height: _Side
    """Rows of its stored frames."""
    width: _Side
    """Columns of its stored frames."""
    first_byte: _Count
    """Where its JPEG files begin, among those of the file."""
    first_frame: _Count
    """Its first row among the frames of the file."""
    num_frames: _Count
    """F."""
    crc32: int
    """CRC-32 of its rows, with those of its JPEG files; a copy in another file has the same."""
    times: TimeRanges
    """Times that are stored."""

    def __post_init__(self) -> None:
        """Raises ClipStoreError unless the size is one of frames."""
        if not _is_size(self.height, self.width):
            raise ClipStoreError(
                f"video {self.id}: expected {_FRAMES}, got {self.height}x{self.width}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedClip:
    """A video of which nothing could be decoded."""

    __pydantic_config__: ClassVar = STRICT

    id: str
    """Id of the manifest."""
    reason: str
    """The decoder's message."""
    source: Stamp = (-1, -1)
    """Size and time of change of what could not be decoded; -1 where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFileRecord:
    """What a file holds, beside pictures and times."""

    __pydantic_config__: ClassVar = STRICT

    settings: StoreSettings
    jpeg_place: _Count
    """Where the dataset `jpeg` begins in the file."""
    frames_place: _Count
    """Where the dataset `frames` does."""
    videos: tuple[StoredVideo, ...]
    failed: tuple[FailedClip, ...]


_FRAMES = f"frames of 1 to {MOST_PIXELS} pixels, sides of at most {MOST_SIDE}"


def row_type(name: str, text_bytes: Mapping[str, int] | None = None) -> np.dtype[np.void]:
    """Return the type of the rows of a table, whose columns of text have these lengths."""
    return np.dtype(
        [
            (column, f"S{(text_bytes or {})[column]}" if kind == TEXT else kind)
            for column, kind in TABLES[name]
        ]
    )


def _is_size(height: int, width: int) -> bool:
    return (
        min(height, width) >= 1
        and max(height, width) <= MOST_SIDE
        and height * width <= MOST_PIXELS
    )
