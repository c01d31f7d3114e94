"""Frames of a video that lies as a folder of JPEGs, as EPIC Kitchens and Something-Something do.

Frames come in the order of their numbers. The number at the end of a file's name is its place in
the video, counted from 1, or from 0 if the folder has a number 0; it gives the time, so that a
folder with gaps keeps the right times. Files without numbers are counted in the order of names.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from shared.errors import VideoDecodeError
from shared.frames import Frame, VideoInfo

__all__ = ["folder_files", "probe_folder", "read_folder"]

logger = logging.getLogger(__name__)

_SUFFIXES = (".jpg", ".jpeg")
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def folder_files(folder: Path) -> tuple[Path, ...]:
    """The JPEGs of a folder in the order of their numbers, then names.

    Raises:
        VideoDecodeError: if there is none.
    """
    files = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    ]
    if not files:
        raise VideoDecodeError(f"{folder}: wanted a folder of JPEGs (*.jpg), found none in it")
    return tuple(sorted(files, key=lambda path: (_number(path) or 0, path.name)))


def probe_folder(folder: Path, *, rate: float | None) -> VideoInfo:
    """What the folder holds; the arguments and errors are those of `read_folder`."""
    files = folder_files(folder)
    first = next(read_folder(folder, rate=rate))
    height, width, _ = first.image.shape
    return VideoInfo(
        height=height, width=width, rate=_checked_rate(folder, rate), header_frames=len(files)
    )


def read_folder(
    folder: Path, *, rate: float | None, start: int = 0, stop: int | None = None
) -> Iterator[Frame]:
    """The frames [start, stop) of those that can be decoded.

    Args:
        folder: the folder.
        rate: frames a second, by which files are numbered; a folder does not tell it.
        start: place of the first frame wanted, from 0.
        stop: place after the last frame wanted; None: to the end.

    Raises:
        VideoDecodeError: if there is no JPEG, none that can be decoded, or the rate is missing.
    """
    rate = _checked_rate(folder, rate)
    files = folder_files(folder)
    places = _places(files)
    index = 0
    damaged: list[str] = []
    size: tuple[int, int] | None = None
    for path, place in zip(files, places, strict=True):
        if stop is not None and index >= stop:
            break
        try:
            with Image.open(path) as opened:
                picture = ImageOps.exif_transpose(opened).convert("RGB")
        except _UNREADABLE as err:
            damaged.append(f"{path.name}: {err}")
            continue
        size = size or picture.size
        if index >= start:
            picture = picture if picture.size == size else picture.resize(size)
            yield Frame(index=index, seconds=place / rate, image=np.array(picture))
        index += 1
    if index == 0 and (stop is None or stop > 0):
        raise VideoDecodeError(
            f"{folder}: none of {len(files)} JPEGs can be decoded ({damaged[0]})"
        )
    if damaged:
        logger.warning(
            "%s: %d of %d JPEGs left out, they cannot be decoded (%s)",
            *(folder, len(damaged), len(files), damaged[0]),
        )


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


def _number(path: Path) -> int | None:
    match = re.search(r"(\d+)$", path.stem)
    return int(match[1]) if match else None
