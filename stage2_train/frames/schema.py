"""Format of a clip store, version 4: a folder of whole HDF5 files; this page is its specification.

`clips-000000.h5`, `clips-000001.h5`, ... each hold some videos; of a video that is in several, the
file of the highest number counts. A file has three datasets of one axis:

`record`    JSON in UTF-8, a `ClipFileRecord`; in chunks with Fletcher-32
`frames`    rows of `FRAME_ROW`, those of a video together in order of time; contiguous
`jpeg`      bytes of JPEG files one after another; contiguous

HDF5 checks its own metadata (`libver=("v110", "v110")`) and the record. What clips are read from is
contiguous, so that a picture takes one call of the system: each row of `frames` has the CRC-32 of
its picture, each video that of its rows.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from orn.shared.config.fields import STRICT, Positive
from orn.shared.data_files import Stamp
from orn.shared.errors import VideoDecodeError
from orn.shared.jobs.plan import UnitFiles
from orn.shared.time_ranges import TimeRanges
from orn.shared.video.frame_selection import describe_rate

CLIP_FILES = UnitFiles(stem="clips", suffix=".h5")
"""Names of the files of a store, as `glob` takes it."""
FRAME_ROW = np.dtype(
    [("index", "<i8"), ("seconds", "<f8"), ("start", "<i8"), ("size", "<u4"), ("crc32", "<u4")]
)
"""Of a frame: its place in the decoded stream of the source, from 0; presentation time; its JPEG
file: first byte, counted from the video's first one, number of bytes, CRC-32."""
MOST_SIDE = 8192
"""Longest side of a stored frame, in pixels."""

_Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
_Count = Annotated[int, Field(ge=0, lt=2**40)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class StoreSettings:
    """What holds for every frame of a store."""

    size: tuple[_Side, _Side] | _Side
    """(height, width) of every stored frame, whatever the shape of the source; or the length of the
    shorter side, where the other one keeps the shape of the source."""
    jpeg_quality: Annotated[int, Field(ge=1, le=95)] = 92
    """Pillow's JPEG quality, 1..95."""
    rate: Positive | None = None
    """Frames a second that are picked; None for every frame."""

    def stored_size(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) of the stored frames of a source of `height` x `width` pixels.

        Raises:
            VideoDecodeError: if its shape gives a frame that is too large.
        """
        if isinstance(self.size, tuple):
            return self.size
        per_pixel = self.size / min(height, width)
        rows, columns = (max(round(side * per_pixel), self.size) for side in (height, width))
        if max(rows, columns) > MOST_SIDE:
            raise VideoDecodeError(
                f"expected stored sides of at most {MOST_SIDE} pixels, got {rows}x{columns}, which "
                f"the short side of {self.size} gives a video of {height}x{width}"
            )
        return rows, columns

    def describe(self) -> str:
        """Return the settings in words, for messages."""
        picked = describe_rate(self.rate)
        return f"frames of {self.describe_size()} at JPEG quality {self.jpeg_quality}, {picked}"

    def describe_size(self) -> str:
        """Return the size in words, such as `256x256` or `short side 256`."""
        if isinstance(self.size, tuple):
            return "{}x{}".format(*self.size)
        return f"short side {self.size}"


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class StoredVideo:
    """One video of a file."""

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
    times: TimeRanges
    """Times that are stored."""
    first_byte: _Count
    """Where its JPEG files begin in `jpeg`."""
    first_frame: _Count
    """Its first row of `frames`."""
    num_frames: _Count
    """F."""
    crc32: int
    """CRC-32 of its rows, with those of its JPEG files; a copy in another file has the same."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class FailedClip:
    """A video of which nothing could be decoded."""

    id: str
    """Id of the manifest."""
    reason: str
    """The decoder's message."""
    source: Stamp = (-1, -1)
    """Size and time of change of what could not be decoded; -1 where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ClipFileRecord:
    """What a file holds, beside pictures and times."""

    format: Literal["orn-clips"] = "orn-clips"
    format_version: Literal[4] = 4
    settings: StoreSettings
    videos: tuple[StoredVideo, ...]
    failed: tuple[FailedClip, ...]
    jpeg_place: _Count = 0
    """Where the dataset `jpeg` begins in the file; HDF5 tells it, not the JSON."""
    frames_place: _Count = 0
    """Where the dataset `frames` does, likewise."""


RECORDS = TypeAdapter(ClipFileRecord)
