"""Read the frames of a video stored as a folder of JPEGs, and decode single JPEGs safely.

The number at the end of a file name is the index of the frame, counted from 1, or from 0 if a file
has the number 0. It determines order and time, so that gaps keep the times correct. Files without
numbers are ordered by name. Arguments and errors are the same as for the functions in `read`.

Pillow detects formats by content, and some of its readers start programs, so only its JPEG reader
is used. The declared size of a picture is bounded before decoding.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from orn.shared.data_files import reason, regular_status
from orn.shared.errors import VideoDecodeError
from orn.shared.time_ranges import MOST_SECONDS
from orn.shared.video.frame import MOST_PIXELS, PICTURE_SUFFIXES, Frame, FrameEstimate, VideoInfo


def jpeg_image(path: Path) -> Image.Image:
    """Return an upright RGB picture.

    Raises:
        VideoDecodeError: if the file is not a JPEG, exceeds `MOST_PIXELS`, or is damaged.
    """
    regular_status(path)
    try:
        # `Image.open` would try every format, and has a different limit on pixels.
        with path.open("rb") as file, JpegImageFile(file) as picture:
            width, height = picture.size
            if width * height <= MOST_PIXELS:
                return ImageOps.exif_transpose(picture).convert("RGB")
    except Exception as err:  # Pillow raises errors of any type for damaged files
        raise VideoDecodeError(f"{reason(err)}; replace or remove the file", where=path) from err
    raise VideoDecodeError(
        f"expected at most {MOST_PIXELS:,} pixels, got {width} x {height}; replace or remove the "
        "file",
        where=path,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """The JPEGs of a folder, at least one, with their times."""

    files: tuple[Path, ...]
    numbers: Sequence[int]
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
        numbers = _numbers(files)
        if numbers[-1] > MOST_SECONDS * rate:
            raise VideoDecodeError(
                f"expected a frame number up to {MOST_SECONDS * rate:,.0f} at "
                f"{rate:g} frames per second, got a larger one; rename or remove the file",
                where=files[-1],
            )
        return cls(files=files, numbers=numbers, rate=rate)


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
    frames, last = len(listing.files), listing.numbers[-1] + 1
    duration = last / listing.rate if last > frames else None
    return FrameEstimate(frames=frames, rate=listing.rate, duration_seconds=duration)


def read_folder(folder: Path, *, rate: float | None, start: int = 0) -> Iterator[Frame]:
    """Yield the frames from `start` on, in the size of the first; earlier files are not decoded.

    Raises:
        VideoDecodeError: at a JPEG that cannot be decoded.
    """
    listing = _Listing.of(folder, rate)
    first = jpeg_image(listing.files[0])
    for index in range(start, len(listing.files)):
        picture = jpeg_image(listing.files[index]) if index else first
        if picture.size != first.size:
            picture = picture.resize(first.size)
        seconds = listing.numbers[index] / listing.rate
        yield Frame(index=index, seconds=seconds, image=np.array(picture))


def folder_seconds(folder: Path, *, rate: float | None) -> NDArray[np.float64]:
    """Return the (F,) times of all frames."""
    listing = _Listing.of(folder, rate)
    return np.array(listing.numbers) / listing.rate


def _numbers(files: tuple[Path, ...]) -> Sequence[int]:
    numbers = [_number(path) for path in files]
    known = [number for number in numbers if number is not None]
    if len(known) < len(files) or len(set(known)) < len(files):
        return range(len(files))
    base = min(1, known[0])
    return [number - base for number in known]


def _number(path: Path) -> int | None:
    match = re.search(r"(\d+)$", path.stem)
    return int(match[1]) if match else None
