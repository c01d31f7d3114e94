"""Specification of the clip store's format, version 7: a folder of HDF5 files.

Each of the files `clips-000000.h5`, `clips-000001.h5`, ... contains some videos; a video in several
files is read from the file with the highest number. A file has these datasets:

`record`    JSON in UTF-8, a `ClipFileRecord`; chunked, with Fletcher-32 checksums
`frames`    rows of `FRAME_ROW`, adjacent for each video, in order of time; contiguous
`jpeg`      concatenated JPEG files; contiguous
`maps`      (F, C, h, w) float16 feature maps of a frozen image or video network, a row for each row
            of `frames`; contiguous, and only with `StoreSettings.maps`
`motion`    (F, C, h, w) float16 motion maps (`motion.py`), means over a window around each frame;
            contiguous, and only with `StoreSettings.motion`

HDF5 verifies its metadata (`libver=("v110", "v110")`) and the record. The other datasets are
contiguous, so that a frame is read with one system call, and have their own checksums: each row of
`frames` has the CRC-32 of its JPEG file and of its maps, and each video the CRC-32 of its rows.
"""

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from orn.shared.config.fields import STRICT, Positive
from orn.shared.data_files import Stamp
from orn.shared.jobs.plan import OutputFolder
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.shared.video.frame import describe_rate
from orn.stage2_train.settings.model_config import FrameWindow

INDEX_NAME = "clips.index.json"
CLIP_FILES = OutputFolder(
    command="orn clips",
    stem="clips",
    suffix=".h5",
    plan="clips.plan.json",
    index=INDEX_NAME,
)
"""Names of the files of a store."""
FRAME_ROW = np.dtype(
    [
        *(("index", "<i8"), ("seconds", "<f8"), ("start", "<i8"), ("size", "<u4")),
        *(("crc32", "<u4"), ("map_crc32", "<u4"), ("motion_crc32", "<u4")),
    ]
)
"""Row for a frame: index in the decoded stream of the source; presentation time in seconds; offset
of its JPEG file from the video's first byte; size in bytes; CRC-32 of the JPEG file, of the
bytes of its feature map, and of its motion map (0 without these maps)."""
MAP_DTYPE = np.dtype("<f2")
"""Type of the values of a map."""
WINDOW_SECONDS = 0.25
"""Default duration of the window of a motion map."""

_Side = Annotated[int, Field(ge=1, le=8192)]
_Cells = Annotated[int, Field(ge=1, le=2**16)]
_Count = Annotated[int, Field(ge=0, lt=2**40)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class MapSettings:
    """Feature maps of whole stored frames, computed by a frozen image or video network."""

    backbone: str
    """Name of the network, `timm/NAME` or `torchvision/NAME`."""
    stage: None = None
    """Reserved; the map is the last one of the network."""
    weights: str
    """Digest of the network's weights, `sha256:...`."""
    shape: tuple[_Cells, _Cells, _Cells]
    """(C, h, w) of the map of a frame."""
    window: FrameWindow | None = None
    """The window of frames that a video network reads for a frame, rescaled but not compressed;
    None for an image network, which reads the stored frame."""

    def describe(self) -> str:
        """Return a description that differs for different maps."""
        return f"{self.backbone} (weights {self.weights[:19]})"


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class MotionSettings:
    """Motion maps of whole frames, computed from all decoded frames in a window around each."""

    version: Literal[2] = 2
    """Version of their definition in `motion.py`."""
    shape: tuple[_Cells, _Cells, _Cells]
    """(C, h, w) of the map of a frame."""
    window_seconds: Positive = WINDOW_SECONDS
    """Duration of the window."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class StoreSettings:
    """Settings for all frames in a store."""

    size: tuple[_Side, _Side]
    """(height, width) of stored frames."""
    jpeg_quality: Annotated[int, Field(ge=1, le=95)] = 92
    """Pillow's JPEG quality, 1 .. 95."""
    rate: Positive | None = None
    """Stored frames per second; None for every frame."""
    clip_frames: Annotated[int, Field(ge=1)] | None = None
    """Number of center frames of each segment, which alone are stored; None for all frames, or
    those at `rate`."""
    maps: MapSettings | None = None
    """Feature maps stored with the frames, or computed from them; None without."""
    motion: MotionSettings | None = None
    """Motion maps stored with the frames, or computed from the video; None without."""

    @property
    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """The (C, h, w) of the maps of a frame by the name of their dataset."""
        described = {"maps": self.maps, "motion": self.motion}
        return {name: maps.shape for name, maps in described.items() if maps is not None}

    def describe(self) -> str:
        """Return a description of the settings, for messages."""
        picked = describe_rate(self.rate)
        if self.clip_frames is not None:
            picked = f"{self.clip_frames} center frames of each segment"
        maps = f", with maps of {self.maps.describe()}" if self.maps else ""
        maps += ", with motion" if self.motion else ""
        return (
            f"frames of {self.describe_size()} at JPEG quality {self.jpeg_quality}, {picked}{maps}"
        )

    def describe_size(self) -> str:
        """Return a description of the size, such as `256x256`."""
        return "{}x{}".format(*self.size)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class StoredClip:
    """The frames of one segment."""

    times: TimeRange
    """Time range of the segment."""
    frames: tuple[_Count, ...]
    """Its frames, as indices of the video's rows, increasing; fewer than `clip_frames` in a short
    segment."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class StoredVideo:
    """A video in a file of the store."""

    id: str
    """Id in the manifest."""
    source_digest: str
    """`content_digest` of the decoded file or folder."""
    source: Stamp
    """Size and time of the last modification of the decoded file, or of the folder's JPEGs."""
    rate: Positive | None = None
    """Frames per second of a folder of JPEGs; None for a video file."""
    height: _Side
    """Number of rows of stored frames."""
    width: _Side
    """Number of columns of stored frames."""
    times: TimeRanges
    """Stored time ranges; with `clip_frames` those of segments, which may overlap."""
    clips: tuple[StoredClip, ...] = ()
    """Frames of its segments, with `clip_frames`."""
    first_byte: _Count
    """Offset of its first JPEG file in `jpeg`."""
    first_frame: _Count
    """Index of its first row in `frames`."""
    num_frames: _Count
    """F, number of stored frames."""
    crc32: int
    """CRC-32 of its rows, which include the CRC-32 of its JPEG files and maps; equal for copies in
    other files."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class FailedClip:
    """A video that could not be decoded."""

    id: str
    """Id in the manifest."""
    reason: str
    """Error message of the decoder."""
    source: Stamp = (-1, -1)
    """The same as for a stored video; -1 if it was missing."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ClipFileRecord:
    """The record of a file: its settings and videos."""

    format: Literal["orn-clips"] = "orn-clips"
    format_version: Literal[7] = 7
    settings: StoreSettings
    videos: tuple[StoredVideo, ...]
    failed: tuple[FailedClip, ...]
    jpeg_offset: _Count = 0
    """Offset of the dataset `jpeg` in the file, read from HDF5, not from the JSON."""
    frames_offset: _Count = 0
    """Offset of the dataset `frames` in the file, read from HDF5, not from the JSON."""
    maps_offset: _Count = 0
    """Offset of the dataset `maps` in the file, read from HDF5, not from the JSON."""
    motion_offset: _Count = 0
    """Offset of the dataset `motion` in the file, read from HDF5, not from the JSON."""


def map_bytes(shape: tuple[int, ...]) -> int:
    """Return the size in bytes of a map of a shape."""
    return math.prod(shape) * MAP_DTYPE.itemsize


RECORDS = TypeAdapter(ClipFileRecord)
RECORDED_SETTINGS = TypeAdapter(StoreSettings)
