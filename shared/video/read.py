"""Read frames with their times, from a video file or a folder of JPEGs: in order, or by index, by
seeking if it is exact, else by sequential decoding.

All frames are returned in display order, upright and as RGB. Times are presentation times in
seconds; missing or non-increasing times are replaced by the previous time + 1 / rate.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orn.shared.data_files import Stamp, file_digest, reason, regular_status, stamp_of
from orn.shared.errors import VideoDecodeError
from orn.shared.video.decode_file import estimate_file, probe_file, read_file
from orn.shared.video.frame import Frame, FrameEstimate, VideoInfo
from orn.shared.video.frame_times import frame_times
from orn.shared.video.jpeg_folder import (
    estimate_folder,
    folder_files,
    folder_seconds,
    probe_folder,
    read_folder,
)

_NEAR_FRAMES = 48
"""Maximum number of frames for which decoding is faster than seeking."""
_KEPT_BYTES = 128 * 2**20


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
) -> Iterator[Frame]:
    """Yield the frames of a video from `start` on, with indices and times relative to the whole
    video.

    If times are only known after decoding, earlier frames are decoded as well. Close the iterator
    to close the file early.

    Args:
        path: a video file or a folder of JPEGs.
        rate: frames per second of a folder; ignored for a file.
        start: index of the first frame, from 0.

    Raises:
        VideoDecodeError: if no frame can be decoded, the rate of a folder is missing, or the file
            cannot be read.
    """
    if os.path.isdir(path):
        return read_folder(path, rate=rate, start=start)
    return read_file(path, start=start)


def known_seconds(path: Path, *, rate: float | None = None) -> NDArray[np.float64] | None:
    """Return the (F,) times of all frames of a video; None if only decoding yields them.

    Raises:
        VideoDecodeError: if the video cannot be opened or the rate of a folder is missing.
    """
    if os.path.isdir(path):
        return folder_seconds(path, rate=rate)
    times = frame_times(path)
    return None if times is None else times.seconds


def seconds_of_frames(path: Path, *, rate: float | None = None) -> NDArray[np.float64]:
    """Return the (F,) times of all frames of a video, which is decoded only if necessary.

    Raises:
        VideoDecodeError: if no frame can be decoded or the rate of a folder is missing.
    """
    seconds_F = known_seconds(path, rate=rate)
    if seconds_F is not None:
        return seconds_F
    return np.array([frame.seconds for frame in read_frames(path, rate=rate)])


class VideoReader:
    """Reader of a video's frames by index.

    If all times are known, the reader seeks. Other videos are decoded sequentially, and only once
    unless a request precedes the buffered frames.
    """

    def __init__(
        self,
        path: Path,
        *,
        rate: float | None = None,
        shrink: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] = lambda image_HW3: image_HW3,
        kept_bytes: int = _KEPT_BYTES,
    ) -> None:
        """Open a video without decoding.

        Args:
            path: a video file or a folder of JPEGs.
            rate: frames per second of a folder.
            shrink: function that transforms each (H, W, 3) uint8 RGB image before it is buffered
                and returned.
            kept_bytes: size of the buffer for earlier frames, if the reader cannot seek.

        Raises:
            VideoDecodeError: if the video cannot be opened or the rate of a folder is missing.
        """
        self._is_sought = known_seconds(path, rate=rate) is not None
        self._path, self._rate, self._shrink, self._most_bytes = path, rate, shrink, kept_bytes
        self._kept: deque[Frame] = deque()
        self._kept_bytes = self._next = 0
        self._frames: Iterator[Frame] = iter(())
        self._begin(0)

    def frame(self, index: int) -> Frame | None:
        """Return the frame at an index, from 0; None after the end of the video.

        Raises:
            VideoDecodeError: if no frame can be decoded or the file cannot be read.
        """
        if not self._is_sought:
            return self._decoded(index)
        if self._kept and self._kept[-1].index == index:
            return self._kept[-1]
        if not 0 <= index - self._next <= _NEAR_FRAMES:
            self._begin(index)
        for frame in self._frames:
            self._next = frame.index + 1
            if frame.index == index:
                self._kept.clear()
                self._kept.append(self._shrunk(frame))
                return self._kept[-1]
        return None

    def frames_at(self, indices: Iterable[int]) -> Iterator[Frame]:
        """Yield the frames at the given indices in order, up to the end of the video."""
        return (frame for index in indices if (frame := self.frame(index)) is not None)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield frames [start, stop), by default up to the end of the video."""
        for index in count(start) if stop is None else range(start, stop):
            frame = self.frame(index)
            if frame is None:
                return
            yield frame

    def _decoded(self, index: int) -> Frame | None:
        """Return a frame of a video that is decoded in order."""
        if self._kept and index < self._kept[0].index:
            self._begin(0)
        if self._kept and index <= self._kept[-1].index:
            return self._kept[index - self._kept[0].index]
        for decoded in self._frames:
            frame = self._shrunk(decoded)
            self._kept.append(frame)
            self._kept_bytes += frame.image.nbytes
            while self._kept_bytes > self._most_bytes and len(self._kept) > 1:
                self._kept_bytes -= self._kept.popleft().image.nbytes
            if frame.index == index:
                return frame
        return None

    def _shrunk(self, frame: Frame) -> Frame:
        return replace(frame, image=self._shrink(frame.image))

    def _begin(self, index: int) -> None:
        """Start decoding at an index."""
        self._kept.clear()
        self._kept_bytes, self._next = 0, index
        self._frames = read_frames(self._path, rate=self._rate, start=index)


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


def was_modified(path: Path, *, since_ns: int) -> bool:
    """Return whether a file, or a folder's JPEGs, were modified after a time in nanoseconds; False
    if they cannot be read."""
    try:
        return content_stamp(path)[1] > since_ns
    except VideoDecodeError:
        return False


def _files(path: Path) -> list[tuple[Path, os.stat_result]]:
    files = folder_files(path) if os.path.isdir(path) else (path,)
    return [(file, regular_status(file)) for file in files]
