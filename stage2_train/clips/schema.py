"""Format of the clip store, version 1: one flat, ragged HDF5 file; this page is its specification.

V videos, F frames of all videos, in order of videos. Attributes of the file: `format`,
`format_version`, `height`, `width`, `jpeg_quality`, `resize`. Datasets, all contiguous and
uncompressed, so that a reader may map the file and slice it:

| dataset | shape, type | meaning |
|---|---|---|
| video_id | (V,) str | ids of the manifest |
| source_digest | (V,) str | `shared.video.content_digest` of the source |
| source_height, source_width | (V,) int64 | upright size of the source, pixels |
| video_offsets | (V+1,) int64 | frames of video v are [offsets[v], offsets[v+1]) |
| frame_index | (F,) int64 | place in the decoded stream, from 0 |
| seconds | (F,) float64 | presentation time |
| jpeg_offsets | (F+1,) int64 | bytes of frame f are [offsets[f], offsets[f+1]) |
| jpeg | (bytes,) uint8 | JPEG files of height x width, one after another |
| failed_id, failed_reason | (X,) str | videos of which nothing could be decoded |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from shared.errors import ClipStoreError

__all__ = [
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "RESIZE_RULE",
    "FailedClip",
    "StoreSettings",
    "read_failed",
    "read_settings",
    "write_failed",
    "write_settings",
]

FORMAT_NAME = "orn-clips"
FORMAT_VERSION = 1
RESIZE_RULE = "squash to height x width by Pillow's antialiased bilinear"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """What holds for every frame of a store."""

    height: int
    """Rows of the stored frames."""
    width: int
    """Columns of the stored frames."""
    jpeg_quality: int = 92
    """Pillow's JPEG quality, 1..95."""

    def __post_init__(self) -> None:
        """Raises ClipStoreError if a size or the quality is out of range."""
        if self.height < 1 or self.width < 1:
            raise ClipStoreError(
                f"clip store: wanted a size of at least 1x1, found {self.height}x{self.width}"
            )
        if not 1 <= self.jpeg_quality <= 95:
            raise ClipStoreError(
                f"clip store: wanted a JPEG quality of 1 to 95, found {self.jpeg_quality}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedClip:
    """A video that is not in the store because nothing of it could be decoded."""

    id: str
    """Id of the manifest."""
    reason: str
    """The decoder's message."""


def write_settings(file: h5py.File, settings: StoreSettings) -> None:
    """Writes the attributes of a new file."""
    file.attrs["format"] = FORMAT_NAME
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["height"] = settings.height
    file.attrs["width"] = settings.width
    file.attrs["jpeg_quality"] = settings.jpeg_quality
    file.attrs["resize"] = RESIZE_RULE


def write_failed(file: h5py.File, failed: Sequence[FailedClip]) -> None:
    """Writes the two datasets of videos that failed; they may be empty."""
    string = h5py.string_dtype()
    file.create_dataset("failed_id", data=[row.id for row in failed], dtype=string)
    file.create_dataset("failed_reason", data=[row.reason for row in failed], dtype=string)


def read_failed(file: h5py.File) -> tuple[FailedClip, ...]:
    """The videos that failed."""
    columns = (file[name].asstr()[:] for name in ("failed_id", "failed_reason"))
    return tuple(FailedClip(id=name, reason=reason) for name, reason in zip(*columns, strict=True))


def read_settings(file: h5py.File, path: Path) -> StoreSettings:
    """The attributes of a file, after its format and version are checked.

    Raises:
        ClipStoreError: if the file is of another format or version.
    """
    name, version = file.attrs.get("format"), file.attrs.get("format_version")
    if name != FORMAT_NAME:
        raise ClipStoreError(
            f"{path}: wanted a clip store (format {FORMAT_NAME!r}), found format {name!r}"
        )
    if version != FORMAT_VERSION:
        raise ClipStoreError(
            f"{path}: wanted clip store version {FORMAT_VERSION}, found {version}; "
            "write it again with `orn clips --fresh`"
        )
    return StoreSettings(
        height=int(file.attrs["height"]),
        width=int(file.attrs["width"]),
        jpeg_quality=int(file.attrs["jpeg_quality"]),
    )
