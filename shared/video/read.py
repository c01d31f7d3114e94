"""Read frames with their times, from a video file or a folder of JPEGs.

All frames are returned in display order, upright and as RGB. Times are presentation times in
seconds; missing or non-increasing times are replaced by the previous time + 1 / rate.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from orn.shared.data_files import Stamp, file_digest, reason, regular_status, stamp_of
from orn.shared.errors import VideoDecodeError
from orn.shared.video.file import estimate_file, probe_file, read_file
from orn.shared.video.frame import Frame, FrameEstimate, VideoInfo
from orn.shared.video.frame_times import KnownTimes
from orn.shared.video.jpeg_folder import estimate_folder, folder_files, probe_folder, read_folder


def probe(path: Path, *, rate: float | None = None) -> VideoInfo:
    """Return the metadata of a video; one frame is decoded.

    Args:
        path: a video file or a folder of JPEGs.
        rate: frames per second of a folder; ignored for a file.

    Raises:
        VideoDecodeError: if no frame can be decoded or the rate of a folder is missing.
    """
    return probe_folder(path, rate=rate) if os.path.isdir(path) else probe_file(path)


def read_frames(
    path: Path,
    *,
    rate: float | None = None,
    start: int = 0,
    times: KnownTimes = "not read",
) -> Iterator[Frame]:
    """Yield the frames of a video from `start` on, with indices and times relative to the whole
    video.

    If times are only known after decoding, earlier frames are decoded as well. Close the iterator
    to close the file early.

    Args:
        path: a video file or a folder of JPEGs.
        rate: frames per second of a folder; ignored for a file.
        start: index of the first frame, from 0.
        times: result of `frame_times` for a file, if known; ignored for a folder.

    Raises:
        VideoDecodeError: if no frame can be decoded, the rate of a folder is missing, or the file
            cannot be read.
    """
    if os.path.isdir(path):
        return read_folder(path, rate=rate, start=start)
    return read_file(path, start=start, times=times)


def estimate(path: Path, *, rate: float | None = None) -> FrameEstimate:
    """Return the approximate number of frames and the frame rate of a video, without decoding.

    Raises:
        VideoDecodeError: if the video cannot be opened or the rate of a folder is missing.
    """
    return estimate_folder(path, rate=rate) if os.path.isdir(path) else estimate_file(path)


def content_digest(path: Path) -> str:
    """Return `sha256:` and the digest of a file, or of the names and contents of a folder's JPEGs.

    Raises:
        VideoDecodeError: if it cannot be read.
    """
    if not os.path.isdir(path):
        return file_digest(path, error=VideoDecodeError)
    digest = hashlib.sha256()
    for frame, _ in _files(path):
        try:
            content = frame.read_bytes()
        except OSError as err:
            raise VideoDecodeError(f"cannot be read ({reason(err)})", where=frame) from err
        digest.update(os.fsencode(frame.name) + f"\0{len(content)}\0".encode())
        digest.update(content)
    return f"sha256:{digest.hexdigest()}"


def content_bytes(path: Path) -> int:
    """Return the size of a file, or of all JPEGs of a folder.

    Raises:
        VideoDecodeError: if it cannot be read.
    """
    return sum(status.st_size for _, status in _files(path))


def content_stamp(path: Path) -> Stamp:
    """Return the size of a file, or of a folder's JPEGs, and the time of the last modification.

    Raises:
        VideoDecodeError: if it cannot be read.
    """
    stamps = [stamp_of(status) for _, status in _files(path)]
    return sum(size for size, _ in stamps), max(modified_ns for _, modified_ns in stamps)


def has_changed(path: Path, *, num_bytes: int, digest: str, since_ns: int = -1) -> bool:
    """Return whether a file, or a folder's JPEGs, have another content than recorded. The content
    is read only if the size is the same and a file was modified after `since_ns`. A video that
    cannot be read counts as unchanged: what reads it reports the reason.

    Args:
        path: a video file or a folder of JPEGs.
        num_bytes: the recorded `content_bytes`.
        digest: the recorded `content_digest`.
        since_ns: a time in nanoseconds at which the file had this digest.
    """
    try:
        size, modified_ns = content_stamp(path)
        return size != num_bytes or (modified_ns > since_ns and content_digest(path) != digest)
    except VideoDecodeError:
        return False


def _files(path: Path) -> list[tuple[Path, os.stat_result]]:
    files = folder_files(path) if os.path.isdir(path) else (path,)
    return [(file, regular_status(file)) for file in files]
