"""Frames of a video with their times, from a video file or from a folder of JPEGs.

Every frame is there, from the first to the last, in the order in which it is shown. Frames are
upright and RGB. Times are presentation times in seconds; one that is missing or not after the one
before becomes the one before + 1 / rate.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.shared.data_files import reason, regular_status
from orn.shared.errors import VideoDecodeError
from orn.shared.video.file import estimate_file, probe_file, read_file, told_by_header
from orn.shared.video.frame import Frame, FrameEstimate, VideoInfo
from orn.shared.video.frame_times import KnownTimes, frame_times, is_known_damaged
from orn.shared.video.jpeg_folder import (
    estimate_folder,
    folder_files,
    folder_seconds,
    probe_folder,
    read_folder,
)

__all__ = [
    "Frame",
    "FrameEstimate",
    "VideoInfo",
    "content_bytes",
    "content_digest",
    "content_state",
    "estimate",
    "frame_seconds",
    "probe",
    "read_frames",
    "told",
]


def probe(path: Path, *, rate: float | None = None) -> VideoInfo:
    """What a video says of itself; decodes one frame.

    Args:
        path: a video file, or a folder of JPEGs.
        rate: frames a second of a folder, which does not tell it; not used for a file.

    Raises:
        VideoDecodeError: if no frame can be decoded, or a folder's rate is missing.
    """
    return probe_folder(path, rate=rate) if _is_folder(path) else probe_file(path)


def read_frames(
    path: Path,
    *,
    rate: float | None = None,
    start: int = 0,
    stop: int | None = None,
    times: KnownTimes = "not read",
) -> Iterator[Frame]:
    """The frames [start, stop) of a video, with the numbers and times that they have in all of it.

    Where `frame_seconds` cannot tell the times, the frames before are decoded too. There are fewer,
    or none, if the video ends before. Close the iterator to close the file early.

    Args:
        path: a video file, or a folder of JPEGs.
        rate: frames a second of a folder, which does not tell it; not used for a file.
        start: place of the first frame wanted, from 0.
        stop: place after the last frame wanted; None: to the end.
        times: what `frame_times` told of a file, so that it is not read again for that; not used
            for a folder.

    Raises:
        VideoDecodeError: at the first frame asked for, if no frame can be decoded or a folder's
            rate is missing; later, if the disk fails.
    """
    if _is_folder(path):
        return read_folder(path, rate=rate, start=start, stop=stop)
    return read_file(path, start=start, stop=stop, times=times)


def frame_seconds(path: Path, *, rate: float | None = None) -> NDArray[np.float64] | None:
    """(F,) times of all frames, told without decoding; None where only decoding tells.

    Where they can be told, ranges of frames are read without decoding all that is before. Reads the
    file once; the latest few answers are kept. None, too, once damage was met in a file: ranges are
    the same then, but each is decoded from the first frame, so one reader should do them in a row.

    Raises:
        VideoDecodeError: if the video cannot be opened, or a folder's rate is missing.
    """
    if _is_folder(path):
        return folder_seconds(path, rate=rate)
    times = frame_times(path)
    return None if times is None or is_known_damaged(path) else times.seconds


def estimate(path: Path, *, rate: float | None = None) -> FrameEstimate:
    """About how many frames a video has, and how many a second; decodes nothing.

    Raises:
        VideoDecodeError: if the video cannot be opened, or a folder's rate is missing.
    """
    return told(path, rate=rate) or estimate_file(path)


def told(path: Path, *, rate: float | None = None) -> FrameEstimate | None:
    """The same where it takes no FFmpeg: of a folder, and of a plain MP4 file; None of others.

    Raises:
        VideoDecodeError: if there is no such video, or a folder's rate is missing.
    """
    return estimate_folder(path, rate=rate) if _is_folder(path) else told_by_header(path)


def content_digest(path: Path) -> str:
    """`sha256:` and the digest of a file, or of the names and contents of a folder's JPEGs.

    Raises:
        VideoDecodeError: if it cannot be read.
    """
    try:
        if not _is_folder(path):
            regular_status(path)
            with path.open("rb") as file:
                return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        digest = hashlib.sha256()
        for frame in folder_files(path):
            regular_status(frame)
            content = frame.read_bytes()
            digest.update(os.fsencode(frame.name) + f"\0{len(content)}\0".encode())
            digest.update(content)
        return f"sha256:{digest.hexdigest()}"
    except OSError as err:
        raise _unreadable(path, err) from err


def content_bytes(path: Path) -> int:
    """Size of a file, or of all JPEGs of a folder.

    Raises:
        VideoDecodeError: if it cannot be read.
    """
    return sum(status.st_size for _, status in _files(path))


def content_state(path: Path) -> str:
    """64 hexadecimal digits that change when a file does, or one of a folder's JPEGs, as far as
    names, sizes, times of change and numbers on the disk tell.

    Raises:
        VideoDecodeError: if it cannot be read.
    """
    known_by = [
        (os.fsencode(file), status.st_size, status.st_mtime_ns, status.st_ino)
        for file, status in _files(path)
    ]
    return hashlib.sha256(repr(known_by).encode()).hexdigest()


def _files(path: Path) -> list[tuple[Path, os.stat_result]]:
    files = folder_files(path) if _is_folder(path) else (path,)
    return [(file, regular_status(file)) for file in files]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError) as err:
        raise _unreadable(path, err) from err


def _unreadable(path: Path, err: OSError | ValueError) -> VideoDecodeError:
    if isinstance(err, VideoDecodeError):
        return err
    return VideoDecodeError(f"{path}: cannot be read ({reason(err)})")
