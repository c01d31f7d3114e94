"""Format of the clip store, version 2: one flat, ragged HDF5 file; this page is its specification.

V videos, F frames of all videos, in order of videos. Attributes of the file: `format`,
`format_version`, `resize` (`squash` or `short-side`), `height` and `width` of every stored frame
(squash) or `short_side`, the length of its shorter side (short-side), `jpeg_quality`, `rate`
(frames a second that were picked, 0 for every frame). Datasets, all contiguous and uncompressed, so
that a reader may map the file and slice it: `COLUMNS` below.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from shared.errors import ClipStoreError
from shared.time_ranges import TimeRange, TimeRanges

__all__ = [
    "COLUMNS",
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "VIDEO_COLUMNS",
    "Column",
    "FailedClip",
    "StoreSettings",
    "parse_ranges",
    "ranges_text",
    "read_column",
    "read_head",
    "write_columns",
    "write_head",
]

FORMAT_NAME = "orn-clips"
FORMAT_VERSION = 2
_RANGES_KEPT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What one dataset of the file holds."""

    dtype: type | None
    """Of an element; None: text, UTF-8 of any length."""
    counts: Literal["videos", "frames", "bytes", "failed"]
    """What its rows are."""
    borders_of: Literal["frames", "bytes"] | None = None
    """Of a column of one row more: row v has the items [offsets[v], offsets[v + 1]) of these."""


COLUMNS: dict[str, Column] = {
    # id of the manifest, and `shared.video.read.content_digest` of the source
    "video_id": Column(dtype=None, counts="videos"),
    "source_digest": Column(dtype=None, counts="videos"),
    # upright size of the source, and size of the stored frames, pixels
    "source_height": Column(dtype=np.int64, counts="videos"),
    "source_width": Column(dtype=np.int64, counts="videos"),
    "stored_height": Column(dtype=np.int64, counts="videos"),
    "stored_width": Column(dtype=np.int64, counts="videos"),
    # times that are stored: JSON pairs [start, stop), seconds, null for open
    "ranges": Column(dtype=None, counts="videos"),
    # CRC-32 of the video's JPEG bytes
    "jpeg_crc32": Column(dtype=np.uint32, counts="videos"),
    "video_offsets": Column(dtype=np.int64, counts="videos", borders_of="frames"),
    # place in the decoded stream of the source, from 0, and presentation time there
    "frame_index": Column(dtype=np.int64, counts="frames"),
    "seconds": Column(dtype=np.float64, counts="frames"),
    "jpeg_offsets": Column(dtype=np.int64, counts="frames", borders_of="bytes"),
    # JPEG files, one after another
    "jpeg": Column(dtype=np.uint8, counts="bytes"),
    # videos of which nothing could be decoded
    "failed_id": Column(dtype=None, counts="failed"),
    "failed_reason": Column(dtype=None, counts="failed"),
}
VIDEO_COLUMNS = tuple(
    name for name, each in COLUMNS.items() if each.counts == "videos" and each.borders_of is None
)
"""Those with a row a video."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """What holds for every frame of a store: either `height` and `width`, or `short_side`."""

    height: int | None = None
    """Rows of every stored frame, whatever the shape of the source."""
    width: int | None = None
    """Columns of every stored frame."""
    short_side: int | None = None
    """Length of the shorter side; the other one keeps the shape of the source."""
    jpeg_quality: int = 92
    """Pillow's JPEG quality, 1..95."""
    rate: float | None = None
    """Frames a second that are picked; None for every frame."""

    def __post_init__(self) -> None:
        """Raises ClipStoreError if the rate is no number above 0."""
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise ClipStoreError(
                f"clip store: wanted a rate of more than 0 frames a second, found {self.rate}"
            )

    def stored_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the stored frames of a source of `height` x `width` pixels."""
        if self.height is not None and self.width is not None:
            return self.height, self.width
        assert self.short_side is not None
        per_pixel = self.short_side / min(height, width)
        rows, columns = (max(round(side * per_pixel), self.short_side) for side in (height, width))
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
        return TimeRanges.of(
            TimeRange(*(None if end is None else float(end) for end in pair))
            for pair in json.loads(text)
        )
    except (ValueError, TypeError) as err:
        raise ClipStoreError(f"clip store: wanted ranges of seconds, found {text!r}") from err


def write_columns(file: h5py.File, columns: Mapping[str, Sequence[Any]]) -> None:
    """Writes whole columns."""
    for name, values in columns.items():
        dtype = COLUMNS[name].dtype
        if dtype is None:
            file.create_dataset(name, data=values, dtype=h5py.string_dtype())
        else:
            file.create_dataset(name, data=np.asarray(values, dtype))


def read_column(file: h5py.File, name: str) -> Any:
    """A whole column as an array; of Python strings where it is text."""
    return file[name].asstr()[:] if COLUMNS[name].dtype is None else file[name][:]


def write_head(file: h5py.File, settings: StoreSettings, failed: Sequence[FailedClip]) -> None:
    """Writes the attributes of a new file, and the videos that failed."""
    file.attrs["format"] = FORMAT_NAME
    file.attrs["format_version"] = FORMAT_VERSION
    if settings.short_side is None:
        file.attrs["resize"] = "squash"
        file.attrs["height"] = settings.height
        file.attrs["width"] = settings.width
    else:
        file.attrs["resize"] = "short-side"
        file.attrs["short_side"] = settings.short_side
    file.attrs["jpeg_quality"] = settings.jpeg_quality
    file.attrs["rate"] = settings.rate or 0.0
    rows = {"failed_id": [row.id for row in failed], "failed_reason": [r.reason for r in failed]}
    write_columns(file, rows)


def read_head(file: h5py.File, path: Path) -> tuple[StoreSettings, tuple[FailedClip, ...]]:
    """The settings of a file and the videos that failed, after its format is checked.

    Raises:
        ClipStoreError: if the file is of another format or version.
    """
    attributes = file.attrs
    name, version = attributes.get("format"), attributes.get("format_version")
    if name != FORMAT_NAME:
        raise ClipStoreError(
            f"{path}: wanted a clip store (format {FORMAT_NAME!r}), found format {name!r}"
        )
    if version != FORMAT_VERSION:
        raise ClipStoreError(
            f"{path}: wanted clip store version {FORMAT_VERSION}, found {version}; "
            "write it again with `orn clips --fresh`"
        )
    sizes = ("height", "width") if attributes["resize"] == "squash" else ("short_side",)
    settings = StoreSettings(
        **{size: int(attributes[size]) for size in sizes},
        jpeg_quality=int(attributes["jpeg_quality"]),
        rate=float(attributes["rate"]) or None,
    )
    failed = zip(read_column(file, "failed_id"), read_column(file, "failed_reason"), strict=True)
    return settings, tuple(FailedClip(id=name, reason=reason) for name, reason in failed)
