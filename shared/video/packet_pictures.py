"""Decode pictures from packets, and detect damage.

A decoder conceals errors of a damaged picture. The result depends on previously decoded pictures
and, with several threads, on chance. Therefore a decoder that rejects damage is used first; before
the first damage, it returns the same pictures as other decoders.
"""

import heapq
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from orn.shared.data_files import reason
from orn.shared.errors import VideoDecodeError
from orn.shared.text import counted
from orn.shared.video.frame import MOST_PIXELS

logger = logging.getLogger(__name__)

_ONE_A_PACKET = frozenset({"h264", "hevc"})
"""Codecs with one picture per packet in every container."""


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
    num_pictures = num_damaged = 0
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
                f"{path}: cannot be read after {counted(num_pictures, 'frame')} ({reason(err)})"
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
                num_damaged += picture.is_corrupt
                yield picture
    if num_pictures == 0:
        why = errors[0] if errors else "it contains none"
        if not stream.width:
            why += f"; it declares no size of at most {MOST_PIXELS:,} pixels"
        raise VideoDecodeError(f"{path}: no frame can be decoded ({why})")
    if errors:
        logger.warning(
            "%s: skipping %s that cannot be decoded (%s); decoded %s",
            *(path, counted(len(errors), "packet"), errors[0], counted(num_pictures, "frame")),
        )
    if num_damaged:
        logger.warning(
            "%s: %d of %s damaged",
            path,
            num_damaged,
            counted(num_pictures, "frame is", "frames are"),
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
