"""Frames of a video file, decoded with PyAV from the first to the last.

Nothing is sought and no header is believed: the frames are those that decode, numbered as they
come. A packet that cannot be decoded is left out and does not end the video. The file's rotation
and mirroring are applied. Pixels that are not square stay as they are stored.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from shared.errors import VideoDecodeError
from shared.frames import Frame, VideoInfo

__all__ = ["probe_file", "read_file"]

logger = logging.getLogger(__name__)

_USUAL_RATE = 25.0

_NUM_THREADS = 4
"""Fixed, because what a decoder makes of damaged pictures depends on the number of its threads."""


def probe_file(path: Path) -> VideoInfo:
    """What the file says of itself, and the size of its first frame that can be decoded.

    Raises:
        VideoDecodeError: if the file cannot be opened or no frame of it decoded.
    """
    with _opened(path) as (container, stream):
        duration = None
        if stream.duration is not None and stream.time_base is not None:
            duration = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            duration = container.duration / av.time_base
        for picture in _pictures(path, container, stream):
            height, width, _ = _upright(_rgb(picture), _orientation(picture)).shape
            return VideoInfo(
                height=height,
                width=width,
                rate=_rate(path, stream),
                header_frames=stream.frames or None,
                duration_seconds=duration,
            )
    raise VideoDecodeError(f"{path}: no frame can be decoded")


def read_file(path: Path, *, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
    """The frames [start, stop) of those that can be decoded; the ones before are decoded too.

    All frames have the size of the first; the file is closed when the iterator is.

    Raises:
        VideoDecodeError: if the file cannot be opened or read, or no frame of it decoded.
    """
    if stop is not None and stop <= start:
        return
    with _opened(path) as (container, stream):
        interval = 1.0 / _rate(path, stream)
        seconds: float | None = None
        for index, picture in enumerate(_pictures(path, container, stream)):
            if index == 0:
                size, orientation = (picture.width, picture.height), _orientation(picture)
            seconds = _repaired(picture.time, before=seconds, interval=interval)
            if index >= start:
                image = _upright(_rgb(picture, size=size), orientation)
                yield Frame(index=index, seconds=seconds, image=image)
            if stop is not None and index + 1 >= stop:
                return


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its best video stream, ready to decode."""
    try:
        # The absolute path, because FFmpeg takes "a:b" for a protocol and a name.
        container = av.open(str(path.absolute()), metadata_errors="ignore")
    except (av.FFmpegError, OSError, ValueError) as err:
        raise VideoDecodeError(f"{path}: cannot be opened ({_reason(err)})") from err
    with container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise VideoDecodeError(f"{path}: has no video stream")
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = _NUM_THREADS
        yield container, stream


def _pictures(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Every picture that can be decoded, in the order in which it is shown."""
    num_pictures = 0
    errors: list[str] = []
    packets = container.demux(stream)
    ended = False
    while not ended:
        try:
            packet = next(packets, None)
        except av.error.InvalidDataError as err:  # what follows cannot be read: as if it ended here
            errors.append(_reason(err))
            packet = None
        except (av.FFmpegError, OSError) as err:
            raise VideoDecodeError(
                f"{path}: cannot be read on after {num_pictures} frames ({_reason(err)})"
            ) from err
        ended = packet is None
        try:
            pictures = stream.decode(None) if packet is None else packet.decode()
        except av.error.EOFError:  # the decoder was emptied by the last packet already
            continue
        except (av.FFmpegError, OSError) as err:
            errors.append(_reason(err))
            continue
        for picture in pictures:
            if isinstance(picture, VideoFrame):
                num_pictures += 1
                yield picture
    if num_pictures == 0:
        raise VideoDecodeError(
            f"{path}: no frame can be decoded ({errors[0] if errors else 'it holds none'})"
        )
    if errors:
        logger.warning(
            "%s: %d packets left out, they cannot be decoded (%s); %d frames could be",
            *(path, len(errors), errors[0], num_pictures),
        )


def _rate(path: Path, stream: VideoStream) -> float:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate:
            return float(rate)
    logger.warning("%s: does not tell its rate, %g frames a second are taken", path, _USUAL_RATE)
    return _USUAL_RATE


def _repaired(seconds: float | None, *, before: float | None, interval: float) -> float:
    """The time itself, or one interval after the one before if it is missing or not later."""
    if before is None:
        return 0.0 if seconds is None else seconds
    return before + interval if seconds is None or seconds <= before else seconds


def _rgb(picture: VideoFrame, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 as stored, brought to another (width, height) if it has not that size."""
    if size is not None and size != (picture.width, picture.height):
        picture = picture.reformat(width=size[0], height=size[1])
    image: NDArray[Any] = picture.to_ndarray(format="rgb24")
    return image


def _orientation(picture: VideoFrame) -> tuple[int, int, int, int] | None:
    """a b c d of the display matrix: stored (x, y) is shown at (a x + c y, b x + d y)."""
    side_data: Any = picture.side_data  # PyAV's stub has another type than its container
    if "DISPLAYMATRIX" not in {data.type.name for data in side_data}:
        return None
    matrix = np.frombuffer(side_data["DISPLAYMATRIX"], dtype=np.int32)
    return int(matrix[0]), int(matrix[1]), int(matrix[3]), int(matrix[4])


def _upright(
    image_HW3: NDArray[np.uint8], orientation: tuple[int, int, int, int] | None
) -> NDArray[np.uint8]:
    """The picture as it is to be shown, to the nearest quarter turn."""
    if orientation is None:
        return image_HW3
    right_by_x, down_by_x, right_by_y, down_by_y = orientation
    if abs(right_by_x) >= abs(down_by_x):
        flip_rows, flip_columns = down_by_y < 0, right_by_x < 0
    else:
        image_HW3 = image_HW3.transpose(1, 0, 2)
        flip_rows, flip_columns = down_by_x < 0, right_by_y < 0
    rows, columns = (slice(None, None, -1 if flip else 1) for flip in (flip_rows, flip_columns))
    return np.ascontiguousarray(image_HW3[rows, columns])


def _reason(err: BaseException) -> str:
    return getattr(err, "strerror", None) or str(err)
