"""Frames of a video that lies as a folder of JPEGs, as EPIC Kitchens and Something-Something do;
and one JPEG, opened as that and nothing else.

Frames come in the order of their numbers. The number at the end of a file's name is its place in
the video, counted from 1, or from 0 if the folder has a number 0; it gives the time, so that a
folder with gaps keeps the right times. Files without numbers are counted in the order of names.
Arguments and errors are those of the functions in `read`.

Pillow takes a file for what it holds, whatever its name, and some of its readers start programs. A
picture's size is read from the header and bounded before anything is decoded.
"""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from orn.shared.data_files import reason, regular_status
from orn.shared.errors import VideoDecodeError
from orn.shared.text import counted
from orn.shared.time_ranges import MOST_SECONDS
from orn.shared.video.frame import MOST_PIXELS, Frame, FrameEstimate, VideoInfo

logger = logging.getLogger(__name__)

_SUFFIXES = (".jpg", ".jpeg")
_END_OF_IMAGE = b"\xff\xd9"
_FOLDERS_KEPT = 8


@contextmanager
def opened_jpeg(path: Path) -> Iterator[JpegImageFile]:
    """A JPEG of which the header has been read.

    Raises:
        VideoDecodeError: if it is no JPEG file, or has more than `MOST_PIXELS`; in the `with` block
            too, if it cannot be decoded.
    """
    regular_status(path)
    try:
        # The class itself: `Image.open` would try each format, and has another bound.
        with path.open("rb") as file, JpegImageFile(file) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise VideoDecodeError(
                    f"{path}: has {width} x {height} pixels, at most {MOST_PIXELS:,} are read"
                )
            yield picture
    except VideoDecodeError:
        raise
    except Exception as err:  # damaged headers make Pillow raise errors of any kind
        raise VideoDecodeError(f"{path}: {reason(err)}") from err


def jpeg_image(path: Path) -> Image.Image:
    """The picture as it is to be shown, RGB.

    Raises:
        VideoDecodeError: as `opened_jpeg`.
    """
    with opened_jpeg(path) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


def folder_files(folder: Path) -> tuple[Path, ...]:
    """The JPEGs of a folder in the order of their numbers, then names.

    Raises:
        VideoDecodeError: if there is none, or the folder cannot be read.
    """
    try:
        entries = list(folder.iterdir())
    except OSError as err:
        raise _unreadable(folder, err) from err
    files = [
        path
        for path in entries
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    ]
    if not files:
        raise VideoDecodeError(f"{folder}: wanted a folder of JPEGs (*.jpg), found none in it")
    return tuple(sorted(files, key=lambda path: (_number(path) or 0, path.name)))


def probe_folder(folder: Path, *, rate: float | None) -> VideoInfo:
    """What the folder holds; one picture is decoded."""
    files = folder_files(folder)
    first = next(read_folder(folder, rate=rate))
    height, width, _ = first.image.shape
    return VideoInfo(
        height=height, width=width, rate=_checked_rate(folder, rate), header_frames=len(files)
    )


def estimate_folder(folder: Path, *, rate: float | None) -> FrameEstimate:
    """How many JPEGs there are."""
    files, rate = folder_files(folder), _checked_rate(folder, rate)
    places = _places(files)
    _check_times(folder, places, rate)
    last = places[-1] + 1
    duration = last / rate if last > len(files) else None
    return FrameEstimate(frames=len(files), rate=rate, duration_seconds=duration)


def read_folder(
    folder: Path, *, rate: float | None, start: int = 0, stop: int | None = None
) -> Iterator[Frame]:
    """The frames [start, stop) of those that can be decoded.

    Where every JPEG of the folder looks whole, those before `start` are not decoded.
    """
    rate = _checked_rate(folder, rate)
    files = folder_files(folder)
    places = _places(files)
    _check_times(folder, places, rate)
    index = 0
    damaged: list[str] = []
    size: tuple[int, int] | None = None
    if start > 0 and folder_seconds(folder, rate=rate) is not None:
        size = _size_if_decoded(files[0])
        if size is not None:
            index, files, places = start, files[start:], places[start:]
    for path, place in zip(files, places, strict=True):
        if stop is not None and index >= stop:
            break
        try:
            picture = jpeg_image(path)
        except VideoDecodeError as err:
            damaged.append(str(err).removeprefix(f"{folder}{os.sep}"))
            continue
        size = size or picture.size
        if index >= start:
            picture = picture if picture.size == size else picture.resize(size)
            yield Frame(index=index, seconds=place / rate, image=np.array(picture))
        index += 1
    if index == 0 and stop != 0:
        raise VideoDecodeError(
            f"{folder}: none of {counted(len(files), 'JPEG')} can be decoded ({damaged[0]})"
        )
    if damaged:
        logger.warning(
            "%s: %d of %s left out, which cannot be decoded (%s)",
            *(folder, len(damaged), counted(len(files), "JPEG"), damaged[0]),
        )


def folder_seconds(folder: Path, *, rate: float | None) -> NDArray[np.float64] | None:
    """(F,) times of all frames, if every JPEG looks whole; None where only decoding tells."""
    rate = _checked_rate(folder, rate)
    try:
        changed = folder.stat().st_mtime_ns
    except OSError as err:
        raise _unreadable(folder, err) from err
    places = _sound_places(folder, changed)
    if places is None:
        return None
    _check_times(folder, places, rate)
    return np.array(places) / rate


@lru_cache(maxsize=_FOLDERS_KEPT)
def _sound_places(folder: Path, changed: int) -> tuple[int, ...] | None:
    files = folder_files(folder)
    return tuple(_places(files)) if all(_looks_whole(path) for path in files) else None


def _looks_whole(path: Path) -> bool:
    """Whether a JPEG has a header that can be read, and its end."""
    try:
        with opened_jpeg(path) as picture:
            file = picture.fp
            assert file is not None  # the file is open
            file.seek(-len(_END_OF_IMAGE), os.SEEK_END)
            return file.read() == _END_OF_IMAGE
    except VideoDecodeError:
        return False


def _size_if_decoded(path: Path) -> tuple[int, int] | None:
    try:
        return jpeg_image(path).size
    except VideoDecodeError:
        return None


def _unreadable(folder: Path, err: OSError) -> VideoDecodeError:
    return VideoDecodeError(f"{folder}: the folder cannot be read ({err.strerror or err})")


def _checked_rate(folder: Path, rate: float | None) -> float:
    if rate is None or not 0 < rate < float("inf"):
        raise VideoDecodeError(
            f"{folder}: wanted the rate of a folder of frames in frames a second, found {rate}; "
            "set `rate` under [videos] of the manifest"
        )
    return rate


def _places(files: tuple[Path, ...]) -> list[int]:
    """Place of each file in the video, from 0, increasing."""
    numbers = [_number(path) for path in files]
    known = [number for number in numbers if number is not None]
    if len(known) < len(files) or len(set(known)) < len(files):
        return list(range(len(files)))
    base = min(1, known[0])
    return [number - base for number in known]


def _check_times(folder: Path, places: Sequence[int], rate: float) -> None:
    """Raises VideoDecodeError where the last place would be later than `MOST_SECONDS`."""
    if places[-1] > MOST_SECONDS * rate:
        raise VideoDecodeError(
            f"{folder_files(folder)[-1]}: expected a frame number up to {MOST_SECONDS * rate:,.0f} "
            f"at {rate:g} frames a second, got a larger one; rename or remove the file"
        )


def _number(path: Path) -> int | None:
    match = re.search(r"(\d+)$", path.stem)
    return int(match[1]) if match else None
