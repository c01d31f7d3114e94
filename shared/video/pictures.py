"""The pictures that come of a file's packets, and the signs that some are damaged.

A decoder shows of a damaged picture what it can. What that is depends on all that it decoded
before, and with several threads on chance. So damage is looked for with a decoder that refuses it;
what that gives before the first sign of damage is what any other gives.
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
"""Codecs of which every packet gives one picture in any container."""


class DamageFound(Exception):
    """A picture, or what tells of one, is damaged; no error, decoding has to go another way."""


def all_pictures(
    path: Path, packets: Iterable[Packet], stream: VideoStream
) -> Iterator[VideoFrame]:
    """Every picture that can be decoded, in the order in which it is shown.

    The decoder has one thread, else pictures before the damage are lost with it.

    Raises:
        VideoDecodeError: if there is none, or the disk fails.
    """
    num_pictures = num_damaged = 0
    errors: list[str] = []
    remaining = iter(packets)
    ended = False
    while not ended:
        try:
            packet = next(remaining, None)
        except av.error.InvalidDataError as err:  # what follows cannot be read: as if it ended here
            errors.append(reason(err))
            packet = None
        except (av.FFmpegError, OSError) as err:
            raise VideoDecodeError(
                f"{path}: cannot be read on after {counted(num_pictures, 'frame')} ({reason(err)})"
            ) from err
        ended = packet is None
        try:
            pictures = stream.decode(None) if packet is None else packet.decode()
        except av.error.EOFError:  # the decoder was emptied by the last packet already
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
        why = errors[0] if errors else "it holds none"
        if not stream.width:
            why += f"; it tells no size of at most {MOST_PIXELS:,} pixels"
        raise VideoDecodeError(f"{path}: no frame can be decoded ({why})")
    if errors:
        logger.warning(
            "%s: %s left out, which cannot be decoded (%s); %s could be",
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
    """The pictures of a decoder that refuses damage.

    Args:
        packets: those to decode.
        stream: theirs.
        timed: whether every packet has the time of the one picture that it gives. It is looked
            whether all come then: PyAV keeps some errors of the decoder to itself.

    Raises:
        DamageFound: before the first picture that damage can have touched.
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
    except av.error.EOFError:  # the decoder was emptied by the last packet already
        pass
    except (av.FFmpegError, OSError, IndexError) as err:
        raise DamageFound(reason(err)) from err
    if surplus and (timed or stream.codec.name in _ONE_A_PACKET):
        raise DamageFound("a picture is missing")
