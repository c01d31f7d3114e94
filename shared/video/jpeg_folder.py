"""Read the frames of a video stored as a folder of JPEGs, and decode single JPEGs safely.

The number at the end of a file name is the index of the frame, counted from 1, or from 0 if a file
has the number 0. It determines order and time, so that gaps keep the times correct. Files without
numbers are ordered by name. Arguments and errors are the same as for the functions in `read`.

Pillow detects formats by content, and some of its readers start programs, so only its JPEG reader
is used. The declared size of a picture is bounded before decoding.
"""

import logging
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from orn.shared.data_files import reason, regular_status
from orn.shared.errors import VideoDecodeError
from orn.shared.text import counted
from orn.shared.time_ranges import MOST_SECONDS
from orn.shared.video.frame import MOST_PIXELS, PICTURE_SUFFIXES, Frame, FrameEstimate, VideoInfo

logger = logging.getLogger(__name__)

_END_OF_IMAGE = b"\xff\xd9"
_FOLDERS_KEPT = 8


@contextmanager
def opened_jpeg(path: Path) -> Iterator[JpegImageFile]:
    """Open a JPEG and read its header.

    Raises:
        VideoDecodeError: if the file is not a JPEG, exceeds `MOST_PIXELS`, or fails to decode in
            the `with` block.
    """
    regular_status(path)
    try:
        # `Image.open` would try every format, and has a different limit on pixels.
        with path.open("rb") as file, JpegImageFile(file) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise VideoDecodeError(
                    f"expected at most {MOST_PIXELS:,} pixels, got {width} x {height}", where=path
                )
            yield picture
    except VideoDecodeError:
        raise
    except Exception as err:  # Pillow raises errors of any type for damaged headers
        raise VideoDecodeError(f"{reason(err)}", where=path) from err


def jpeg_image(path: Path) -> Image.Image:
    """Return an upright RGB picture.

    Raises:
        VideoDecodeError: see `opened_jpeg`.
    """
    with opened_jpeg(path) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """The JPEGs of a folder, at least one, with their times."""

    files: tuple[Path, ...]
    places: Sequence[int]
    """Increasing index of each file in the video, from 0."""
    rate: float
    """Frames per second."""

    @classmethod
    def of(cls, folder: Path, rate: float | None) -> Self:
        if rate is None or not 0 < rate < math.inf:
            raise VideoDecodeError(
                f"expected a folder of frames with its frame rate, got {rate}; pass "
                "rate, which is in [videos] of a manifest",
                where=folder,
            )
        files = folder_files(folder)
        places = _places(files)
        if places[-1] > MOST_SECONDS * rate:
            raise VideoDecodeError(
                f"expected a frame number up to {MOST_SECONDS * rate:,.0f} at "
                f"{rate:g} frames per second, got a larger one; rename or remove the file",
                where=files[-1],
            )
        return cls(files=files, places=places, rate=rate)


def folder_files(folder: Path) -> tuple[Path, ...]:
    """Return the JPEGs of a folder, ordered by number, then by name.

    Raises:
        VideoDecodeError: if there are no JPEGs or the folder cannot be read.
    """
    try:
        entries = list(folder.iterdir())
    except OSError as err:
        raise VideoDecodeError(f"cannot be read ({reason(err)})", where=folder) from err
    files = [
        path
        for path in entries
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    ]
    if not files:
        raise VideoDecodeError("expected JPEGs (*.jpg), got none", where=folder)
    return tuple(sorted(files, key=lambda path: (_number(path) or 0, path.name)))


def probe_folder(folder: Path, *, rate: float | None) -> VideoInfo:
    """Return the metadata of a folder; one picture is decoded."""
    listing = _Listing.of(folder, rate)
    height, width, _ = next(read_folder(folder, rate=rate)).image.shape
    return VideoInfo(
        height=height, width=width, rate=listing.rate, header_frames=len(listing.files)
    )


def estimate_folder(folder: Path, *, rate: float | None) -> FrameEstimate:
    """Return the number of JPEGs."""
    listing = _Listing.of(folder, rate)
    frames, last = len(listing.files), listing.places[-1] + 1
    duration = last / listing.rate if last > frames else None
    return FrameEstimate(frames=frames, rate=listing.rate, duration_seconds=duration)


def read_folder(folder: Path, *, rate: float | None, start: int = 0) -> Iterator[Frame]:
    """Yield all decodable frames from `start` on. If all JPEGs appear intact, earlier files are not
    decoded.
    """
    listing = _Listing.of(folder, rate)
    size = _size_if_whole(folder, listing.files[0]) if start > 0 else None
    first = start if size else 0
    index = first
    damaged: list[str] = []
    for path, place in zip(listing.files[first:], listing.places[first:], strict=True):
        try:
            picture = jpeg_image(path)
        except VideoDecodeError as err:
            damaged.append(f"{path.name}: {err.reason}")
            continue
        size = size or picture.size
        if index >= start:
            picture = picture if picture.size == size else picture.resize(size)
            yield Frame(index=index, seconds=place / listing.rate, image=np.array(picture))
        index += 1
    num_files = counted(len(listing.files), "JPEG")
    if index == 0:
        raise VideoDecodeError(f"none of {num_files} can be decoded ({damaged[0]})", where=folder)
    if damaged:
        logger.warning(
            "%s: skipping %d of %s that cannot be decoded (%s)",
            *(folder, len(damaged), num_files, damaged[0]),
        )


def folder_seconds(folder: Path, *, rate: float | None) -> NDArray[np.float64] | None:
    """Return the (F,) times of all frames if all JPEGs appear intact, else None."""
    listing = _Listing.of(folder, rate)
    if not _look_whole(folder, folder.stat().st_mtime_ns):
        return None
    return np.array(listing.places) / listing.rate


@lru_cache(maxsize=_FOLDERS_KEPT)
def _look_whole(folder: Path, changed: int) -> bool:
    return all(map(_looks_whole, folder_files(folder)))


def _looks_whole(path: Path) -> bool:
    """Return whether a JPEG has a valid header and its end marker."""
    try:
        with opened_jpeg(path) as picture:
            file = picture.fp
            assert file is not None  # the file is open
            file.seek(-len(_END_OF_IMAGE), os.SEEK_END)
            return file.read() == _END_OF_IMAGE
    except VideoDecodeError:
        return False


def _size_if_whole(folder: Path, first: Path) -> tuple[int, int] | None:
    """Return the size of the first frame if it can be decoded and all JPEGs appear intact."""
    try:
        is_whole = _look_whole(folder, folder.stat().st_mtime_ns)
        return jpeg_image(first).size if is_whole else None
    except VideoDecodeError:
        return None


def _places(files: tuple[Path, ...]) -> Sequence[int]:
    numbers = [_number(path) for path in files]
    known = [number for number in numbers if number is not None]
    if len(known) < len(files) or len(set(known)) < len(files):
        return range(len(files))
    base = min(1, known[0])
    return [number - base for number in known]


def _number(path: Path) -> int | None:
    match = re.search(r"(\d+)$", path.stem)
    return int(match[1]) if match else None
