"""Open video files, decode pictures, detect damage, and convert pictures to upright RGB arrays of
equal size."""

import heapq
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from orn.shared.data_files import reason, regular_status
from orn.shared.errors import VideoDecodeError
from orn.shared.text import counted
from orn.shared.video.frame import MOST_PIXELS

logger = logging.getLogger(__name__)

_ONE_A_PACKET = frozenset({"h264", "hevc"})
"""Codecs with one picture per packet in every container."""
READING_OPTIONS: dict[str, Any] = (
    {"metadata_errors": "ignore"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
"""Options of `av.open` that accept metadata that is not UTF-8, the default in PyAV 19."""
_FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "rm", "mxf", "dv", "gif"),
    *("mpegvideo", "m4v", "h264", "hevc", "ivf", "obu", "mjpeg", "nut"),
)
"""FFmpeg's names of allowed containers, which contain the video itself. Other formats can be
playlists, numbered pictures, network sessions or scripts."""
_CONFINED = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "file"}
_BOUNDED = {"max_pixels": str(MOST_PIXELS)}
"""Options for decoders, including the one that FFmpeg uses for probing."""
_NUM_THREADS = 4


@contextmanager
def opened_video(
    path: Path, *, refuse_damage: bool = False, skip_pictures: bool = False
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a container and its best video stream, ready to decode.

    FFmpeg selects the best of several streams: videos rather than cover pictures, then the one with
    the most pixels.

    Args:
        path: a regular file.
        refuse_damage: whether the decoder rejects damaged pictures instead of concealing errors.
            Only then does it use several threads, because concealment in threads is not
            deterministic.
        skip_pictures: whether only packets are needed. Otherwise FFmpeg decodes a picture when it
            opens a file, which takes most of the time.

    Raises:
        VideoDecodeError: if the file cannot be opened, its container is not allowed, or it has no
            video stream with a decoder.
    """
    regular_status(path)
    try:
        container = av.open(
            str(path.absolute()),  # FFmpeg reads "a:b" as a protocol and a name
            options=_BOUNDED | ({"skip_frame": "all"} if skip_pictures else {}),
            container_options=_CONFINED,
            **READING_OPTIONS,
        )
    except av.error.ArgumentError as err:
        raise VideoDecodeError(
            "expected a container such as MP4, MOV, Matroska, WebM, AVI or MPEG; convert "
            "the video, for example to MP4",
            where=path,
        ) from err
    except (av.FFmpegError, OSError, ValueError) as err:
        raise VideoDecodeError(f"cannot be opened ({reason(err)})", where=path) from err
    with container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise VideoDecodeError("expected a video stream, got none", where=path)
        if stream.codec_context is None:  # PyAV does not know the name of the codec either
            raise VideoDecodeError(
                f"FFmpeg {av.ffmpeg_version_info} has no decoder for its codec; "
                "convert the video, for example to H.264",
                where=path,
            )
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = _NUM_THREADS if refuse_damage else 1
        stream.codec_context.options = _BOUNDED | (
            {"err_detect": "explode"} if refuse_damage else {}
        )
        yield container, stream


Orientation = tuple[int, int, int, int]
"""a b c d of the display matrix: stored (x, y) is displayed at (a x + c y, b x + d y)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureForm:
    """Size and orientation of a video's first picture, which apply to the whole video."""

    width: int
    """Stored width."""
    height: int
    """Stored height."""
    orientation: Orientation | None
    """None without rotation."""

    @classmethod
    def of(cls, picture: VideoFrame) -> Self:
        """Return the form of a picture."""
        return cls(width=picture.width, height=picture.height, orientation=_orientation(picture))

    @property
    def is_turned(self) -> bool:
        """Whether stored rows are displayed as columns."""
        if self.orientation is None:
            return False
        return abs(self.orientation[0]) < abs(self.orientation[1])

    def image(self, picture: VideoFrame) -> NDArray[np.uint8]:
        """Return an upright (H, W, 3) uint8 RGB array, resized to this form if necessary."""
        if (picture.width, picture.height) != (self.width, self.height):
            picture = picture.reformat(width=self.width, height=self.height, threads=1)
        # Starting conversion threads for every picture takes longer than the conversion.
        stored_HW3: NDArray[Any] = picture.to_ndarray(format="rgb24", threads=1)
        return upright(stored_HW3, self.orientation)


def upright(image_HW3: NDArray[np.uint8], orientation: Orientation | None) -> NDArray[np.uint8]:
    """Rotate and mirror a picture for display, to the nearest quarter turn."""
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


def _orientation(picture: VideoFrame) -> Orientation | None:
    side_data: Any = picture.side_data  # the type in PyAV's stub is wrong
    entry = side_data.get("DISPLAYMATRIX")
    if entry is None:
        return None
    matrix = np.frombuffer(entry, dtype=np.int32)
    return int(matrix[0]), int(matrix[1]), int(matrix[3]), int(matrix[4])


class DamageFound(Exception):
    """Signals a damaged picture, so that decoding continues with a different method."""


def all_pictures(
    path: Path, packets: Iterable[Packet], stream: VideoStream
) -> Iterator[VideoFrame]:
    """Yield all decodable pictures in display order.

    The decoder has one thread; with several, pictures before the damage would be lost.

    Raises:
        VideoDecodeError: if no picture can be decoded or the file cannot be read.
    """
    num_pictures = 0
    errors: list[str] = []
    remaining = iter(packets)
    ended = False
    while not ended:
        try:
            packet = next(remaining, None)
        except (
            av.error.InvalidDataError
        ) as err:  # the rest cannot be parsed, so the video ends here
            errors.append(reason(err))
            packet = None
        except (av.FFmpegError, OSError) as err:
            raise VideoDecodeError(
                f"cannot be read after {counted(num_pictures, 'frame')} ({reason(err)})", where=path
            ) from err
        ended = packet is None
        try:
            pictures = stream.decode(None) if packet is None else packet.decode()
        except av.error.EOFError:  # the last packet has already flushed the decoder
            continue
        except (av.FFmpegError, OSError) as err:
            errors.append(reason(err))
            continue
        for picture in pictures:
            if isinstance(picture, VideoFrame):
                num_pictures += 1
                yield picture
    if num_pictures == 0:
        why = errors[0] if errors else "it contains none"
        if not stream.width:
            why += f"; it declares no size of at most {MOST_PIXELS:,} pixels"
        raise VideoDecodeError(f"no frame can be decoded ({why})", where=path)
    if errors:
        logger.warning(
            "%s: skipping %s that cannot be decoded (%s); decoded %s",
            *(path, counted(len(errors), "packet"), errors[0], counted(num_pictures, "frame")),
        )


def pictures_until_damage(
    packets: Iterable[Packet], stream: VideoStream, *, timed: bool
) -> Iterator[VideoFrame]:
    """Yield the pictures from a decoder that rejects damage.

    Args:
        packets: packets to decode.
        stream: their stream.
        timed: whether each packet has the time of its single picture. Missing pictures are then
            detected as damage, since PyAV hides some errors of the decoder.

    Raises:
        DamageFound: before the first picture that may be affected by damage.
    """
    outstanding: list[int] = []
    surplus = 0
    remaining = iter(packets)
    ended = False
    try:
        while not ended:
            packet = next(remaining, None)
            ended = packet is None
            if packet is not None and packet.size and not packet.is_discard:
                surplus += 1
                timed = timed and packet.pts is not None
                if packet.pts is not None:
                    heapq.heappush(outstanding, packet.pts)
            for picture in stream.decode(None) if packet is None else packet.decode():
                if not isinstance(picture, VideoFrame):
                    continue
                if picture.is_corrupt:
                    raise DamageFound("a picture is marked as damaged")
                if timed and heapq.heappop(outstanding) != picture.pts:
                    raise DamageFound("a picture is missing")
                surplus -= 1
                yield picture
    except av.error.EOFError:  # the last packet has already flushed the decoder
        pass
    except (av.FFmpegError, OSError, IndexError) as err:
        raise DamageFound(reason(err)) from err
    if surplus and (timed or stream.codec.name in _ONE_A_PACKET):
        raise DamageFound("a picture is missing")
