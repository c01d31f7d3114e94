"""Format of the clip store, version 2: flat, ragged HDF5 files; this page is its specification.

V videos, F frames of all videos, in order of videos. Attributes of the file: `format`,
`format_version`, `resize` (`squash` or `short-side`), `height` and `width` of every stored frame
(squash) or `short_side`, the length of its shorter side (short-side), `jpeg_quality`, `rate`
(frames a second that were picked, 0 for every frame), in further files `follows` (`files`).
Datasets, all contiguous and uncompressed, so that a reader may map the file and slice it: `COLUMNS`
below.

Checksums: each column with a row a video or a failed video has an attribute `crc32c`, that of
`column_checksum`; the others are checked a video or a frame at a time, by columns that hold the
CRC-32C of their bytes. What HDF5 itself needs is checked by a seal behind the end of its file
(`seal`).
"""

import json
import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter

from orn.shared.config.fields import STRICT
from orn.shared.errors import ClipStoreError, VideoDecodeError
from orn.shared.time_ranges import TimeRange, TimeRanges

FORMAT_NAME = "orn-clips"
FORMAT_VERSION = 2
MOST_PIXELS = 2**25
"""Of a stored frame: 7680 x 4320 and a little more, 100 MB once it is decoded."""
MOST_SIDE = 65_500
"""Longest side of a JPEG file for the library that writes it."""
_RANGES_KEPT = 4096
_RANGES = TypeAdapter(
    list[tuple[float | None, float | None]], config=ConfigDict(strict=False, allow_inf_nan=False)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What one dataset of the file holds."""

    dtype: str | None
    """Of an element, as numpy writes it; None: text, UTF-8 of any length."""
    counts: Literal["videos", "frames", "bytes", "failed"]
    """What its rows are."""
    borders_of: Literal["frames", "bytes"] | None = None
    """Of a column of one row more: row v has the items [offsets[v], offsets[v + 1]) of these."""

    @property
    def is_small(self) -> bool:
        """Whether it is read whole when a store is opened."""
        return self.counts in {"videos", "failed"}


COLUMNS: dict[str, Column] = {
    # id of the manifest, and `orn.shared.video.read.content_digest` of the source
    "video_id": Column(dtype=None, counts="videos"),
    "source_digest": Column(dtype=None, counts="videos"),
    # upright size of the source, and size of the stored frames, pixels
    "source_height": Column(dtype="<i8", counts="videos"),
    "source_width": Column(dtype="<i8", counts="videos"),
    "stored_height": Column(dtype="<i8", counts="videos"),
    "stored_width": Column(dtype="<i8", counts="videos"),
    # times that are stored: JSON pairs [start, stop), seconds, null for open
    "ranges": Column(dtype=None, counts="videos"),
    # CRC-32 of the video's JPEG bytes
    "jpeg_crc32": Column(dtype="<u4", counts="videos"),
    # CRC-32C of the video's rows of two other columns
    "seconds_crc32c": Column(dtype="<u4", counts="videos"),
    "frame_index_crc32c": Column(dtype="<u4", counts="videos"),
    "video_offsets": Column(dtype="<i8", counts="videos", borders_of="frames"),
    # place in the decoded stream of the source, from 0, and presentation time there
    "frame_index": Column(dtype="<i8", counts="frames"),
    "seconds": Column(dtype="<f8", counts="frames"),
    "jpeg_offsets": Column(dtype="<i8", counts="frames", borders_of="bytes"),
    # CRC-32C of each JPEG file
    "frame_crc32c": Column(dtype="<u4", counts="frames"),
    # JPEG files, one after another
    "jpeg": Column(dtype="u1", counts="bytes"),
    # videos of which nothing could be decoded
    "failed_id": Column(dtype=None, counts="failed"),
    "failed_reason": Column(dtype=None, counts="failed"),
}
VIDEO_COLUMNS = tuple(
    name for name, each in COLUMNS.items() if each.counts == "videos" and each.borders_of is None
)
"""Those with a row a video."""


_Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]


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
        """Raises ClipStoreError if the rate is no number above 0, or the size none of a frame."""
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise ClipStoreError(
                f"clip store: wanted a rate of more than 0 frames a second, found {self.rate}"
            )
        sides = (self.height, self.width)
        if (None in sides) == (self.short_side is None) or (sides.count(None) == 1):
            raise ClipStoreError(
                "clip store: wanted a height and a width or a short side, found "
                f"height {self.height}, width {self.width}, short side {self.short_side}"
            )
        if self.short_side is None and not _is_size(self.height or 0, self.width or 0):
            raise ClipStoreError(
                f"clip store: wanted {_WANTED_SIZE}, found {self.height}x{self.width}"
            )

    def stored_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the stored frames of a source of `height` x `width` pixels.

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
                f"wanted {_WANTED_SIZE}, found {rows}x{columns}, which the short side of "
                f"{self.short_side} gives a video of {height}x{width}"
            )
        return rows, columns

    def describe(self) -> str:
        """The settings in words, for messages."""
        size = f"{self.height}x{self.width}"
        if self.short_side is not None:
            size = f"short side {self.short_side}"
        rate = "every frame" if self.rate is None else f"{self.rate:g} frames a second"
        return f"frames of {size} at JPEG quality {self.jpeg_quality}, {rate}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedClip:
    """A video that is not in the store because nothing of it could be decoded."""

    id: str
    """Id of the manifest."""
    reason: str
    """The decoder's message."""


_WANTED_SIZE = f"frames of 1 to {MOST_PIXELS} pixels, sides of at most {MOST_SIDE}"


def _is_size(height: int, width: int) -> bool:
    return (
        min(height, width) >= 1
        and max(height, width) <= MOST_SIDE
        and height * width <= MOST_PIXELS
    )


def column_checksum(name: str, values: Sequence[Any] | NDArray[Any]) -> int:
    """CRC-32C of a column's bytes; of its texts in UTF-8, each with a zero byte behind it."""
    dtype = COLUMNS[name].dtype
    if dtype is None:
        return int(google_crc32c.value("".join(f"{text}\0" for text in values).encode()))
    return int(google_crc32c.value(np.asarray(values, dtype).tobytes()))


def ranges_text(ranges: TimeRanges) -> str:
    """Ranges as the column has them."""
    ends = [(each.start_seconds, each.stop_seconds) for each in ranges.ranges]
    return json.dumps([[None if end is None else float(end) for end in pair] for pair in ends])


@lru_cache(maxsize=_RANGES_KEPT)
def parse_ranges(text: str) -> TimeRanges:
    """The inverse of `ranges_text`.

    Raises:
        ClipStoreError: if the text is no list of pairs.
    """
    try:
        return TimeRanges.of(TimeRange(*pair) for pair in _RANGES.validate_json(text))
    except ValueError as err:
        raise ClipStoreError(
            f"clip store: wanted ranges of seconds, found {reprlib.repr(text)}"
        ) from err
