"""Frames of a video with their times, from a video file or from a folder of JPEGs.

Every frame is there, from the first to the last, in the order in which it is shown. Frames are
upright and RGB. Times are presentation times in seconds; one that is missing or not after the one
before becomes the one before + 1 / rate.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from orn.shared.config.bounded import file_digest
from orn.shared.data_files import is_folder, reason, regular_status
from orn.shared.errors import VideoDecodeError
from orn.shared.video.file import estimate_file, probe_file, read_file
from orn.shared.video.frame import Frame, FrameEstimate, VideoInfo
from orn.shared.video.frame_times import KnownTimes
from orn.shared.video.jpeg_folder import estimate_folder, folder_files, probe_folder, read_folder

__all__ = [
    "Frame",
    "FrameEstimate",
    "VideoInfo",
    "content_bytes",
    "content_digest",
    "content_state",
    "estimate",
    "probe",
    "read_frames",
]


def probe(path: Path, *, rate: float | None = None) -> VideoInfo:
    """Return what a video says of itself; one frame is decoded.

    Args:
        path: a video file, or a folder of JPEGs.
        rate: frames a second of a folder, which does not tell it; not used for a file.

    Raises:
        VideoDecodeError: if no frame can be decoded, or a folder's rate is missing.
    """
    return probe_folder(path, rate=rate) if is_folder(path) else probe_file(path)


def read_frames(
    path: Path,
    *,
    rate: float | None = None,
    start: int = 0,
    stop: int | None = None,
    times: KnownTimes = "not read",
) -> Iterator[Frame]:
    """Yield the frames [start, stop) of a video, with their numbers and times in the whole video.

    Where the times are not known without decoding, the frames before are decoded too. There are
    fewer, or none, if the video ends before. Close the iterator to close the file early.

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
    if is_folder(path):
        return read_folder(path, rate=rate, start=start, stop=stop)
    return read_file(path, start=start, stop=stop, times=times)


def estimate(path: Path, *, rate: float | None = None) -> FrameEstimate:
    """Return about how many frames a video has, and how many a second; nothing is decoded.

    Raises:
        VideoDecodeError: if the video cannot be opened, or a folder's rate is missing.
    """
    return estimate_folder(path, rate=rate) if is_folder(path) else estimate_file(path)


def content_digest(path: Path) -> str:
    """Return `sha256:` and the digest of a file, or of the names and contents of a folder's JPEGs.

    Raises:
        VideoDecodeError: if it cannot be read.
    """
    if not is_folder(path):
        return file_digest(path, error=VideoDecodeError)
    digest = hashlib.sha256()
    for frame, _ in _files(path):
        try:
            content = frame.read_bytes()
        except OSError as err:
            raise VideoDecodeError(f"{frame}: cannot be read ({reason(err)})") from err
        digest.update(os.fsencode(frame.name) + f"\0{len(content)}\0".encode())
        digest.update(content)
    return f"sha256:{digest.hexdigest()}"


def content_bytes(path: Path) -> int:
    """Return the size of a file, or of all JPEGs of a folder.

    Raises:
        VideoDecodeError: if it cannot be read.
    """
    return sum(status.st_size for _, status in _files(path))


def content_state(path: Path) -> str:
    """Return 64 hexadecimal digits that change when a file does, or one of a folder's JPEGs, as
    far as names, sizes, times of change and inodes show.

    Raises:
        VideoDecodeError: if it cannot be read.
    """
    known_by = [
        (os.fsencode(file), status.st_size, status.st_mtime_ns, status.st_ino)
        for file, status in _files(path)
    ]
    return hashlib.sha256(repr(known_by).encode()).hexdigest()


def _files(path: Path) -> list[tuple[Path, os.stat_result]]:
    files = folder_files(path) if is_folder(path) else (path,)
    return [(file, regular_status(file)) for file in files]
