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


def is_same_content(path: Path, *, num_bytes: int, digest: str, since_ns: int = -1) -> bool:
    """Return whether a file or a folder's JPEGs have the recorded size and digest. The digest is
    computed only if a file was modified after `since_ns`.

    Raises:
        VideoDecodeError: if it cannot be read.
    """
    statuses = [status for _, status in _files(path)]
    if sum(status.st_size for status in statuses) != num_bytes:
        return False
    if all(status.st_mtime_ns <= since_ns for status in statuses):
        return True
    return content_digest(path) == digest


def content_state(path: Path) -> tuple[str, int, int, int]:
    """Return path, size, modification time and inode of a file or folder, which change if it is
    replaced, or if a file in the folder is replaced by a new one.

    Raises:
        VideoDecodeError: if it does not exist.
    """
    try:
        status = path.stat()
    except OSError as err:
        raise VideoDecodeError(f"cannot be read ({reason(err)})", where=path) from err
    return str(path), status.st_size, status.st_mtime_ns, status.st_ino


def _files(path: Path) -> list[tuple[Path, os.stat_result]]:
    files = folder_files(path) if os.path.isdir(path) else (path,)
    return [(file, regular_status(file)) for file in files]
