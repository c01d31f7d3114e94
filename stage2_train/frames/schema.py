"""Format of the clip store, version 2: one flat, ragged HDF5 file; this page is its specification.

V videos, F frames of all videos, in order of videos. Attributes of the file: `format`,
`format_version`, `resize` (`squash` or `short-side`), `height` and `width` of every stored frame
(squash) or `short_side`, the length of its shorter side (short-side), `jpeg_quality`, `rate`
(frames a second that were picked, 0 for every frame). Datasets, all contiguous and uncompressed, so
that a reader may map the file and slice it:

| dataset | shape, type | meaning |
|---|---|---|
| video_id | (V,) str | ids of the manifest |
| source_digest | (V,) str | `shared.video.read.content_digest` of the source |
| source_height, source_width | (V,) int64 | upright size of the source, pixels |
| stored_height, stored_width | (V,) int64 | size of the stored frames, pixels |
| ranges | (V,) str | times that are stored: JSON pairs [start, stop), seconds, null for open |
| jpeg_crc32 | (V,) uint32 | CRC-32 of the video's JPEG bytes |
| video_offsets | (V+1,) int64 | frames of video v are [offsets[v], offsets[v+1]) |
| frame_index | (F,) int64 | place in the decoded stream of the source, from 0 |
| seconds | (F,) float64 | presentation time in the source |
| jpeg_offsets | (F+1,) int64 | bytes of frame f are [offsets[f], offsets[f+1]) |
| jpeg | (bytes,) uint8 | JPEG files, one after another |
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
    "FailedClip",
    "StoreSettings",
    "read_failed",
    "read_settings",
    "write_failed",
    "write_settings",
]

FORMAT_NAME = "orn-clips"
FORMAT_VERSION = 2


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
        """Raises ClipStoreError if a size, the quality or the rate is out of range."""
        if self.short_side is None:
            if (self.height or 0) < 1 or (self.width or 0) < 1:
                raise ClipStoreError(
                    f"clip store: wanted a size of at least 1x1, found {self.height}x{self.width}"
                )
        elif self.short_side < 1 or self.height is not None or self.width is not None:
            raise ClipStoreError(
                "clip store: wanted a short side of at least 1 and no other size, found "
                f"{self.short_side} and {self.height}x{self.width}"
            )
        if not 1 <= self.jpeg_quality <= 95:
            raise ClipStoreError(
                f"clip store: wanted a JPEG quality of 1 to 95, found {self.jpeg_quality}"
            )
        if self.rate is not None and not 0 < self.rate < float("inf"):
            raise ClipStoreError(
                f"clip store: wanted a rate of more than 0 frames a second, found {self.rate}"
            )

    def stored_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the stored frames of a source of `height` x `width` pixels."""
        if self.short_side is None:
            assert self.height is not None
            assert self.width is not None
            return self.height, self.width
        per_pixel = self.short_side / min(height, width)
        if height <= width:
            return self.short_side, max(round(width * per_pixel), self.short_side)
        return max(round(height * per_pixel), self.short_side), self.short_side

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


def write_settings(file: h5py.File, settings: StoreSettings) -> None:
    """Writes the attributes of a new file."""
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
    squashed = attributes["resize"] == "squash"
    return StoreSettings(
        height=int(attributes["height"]) if squashed else None,
        width=int(attributes["width"]) if squashed else None,
        short_side=None if squashed else int(attributes["short_side"]),
        jpeg_quality=int(attributes["jpeg_quality"]),
        rate=float(attributes["rate"]) or None,
    )
