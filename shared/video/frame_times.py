"""Times of all frames of a video file, read from its packets without decoding them.

With these times, a range of frames can be read from the preceding key frame, with the same numbers
and times as if all earlier frames had been decoded. This is possible only if each packet is known
to contain one frame with its own time, so few files qualify (for the rules see
`docs/troubleshooting.md`); the times of other files are known only after decoding.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from orn.shared.data_files import Stamp, regular_status, stamp_of
from orn.shared.time_ranges import MOST_SECONDS
from orn.shared.video.container import PictureForm, opened_video

_INDEXED_FORMATS = frozenset({"mov", "mp4", "matroska", "webm"})
"""Containers with packet times and an index of key frames."""
_HEADER_CODECS = frozenset({"h264", "hevc"})
"""Decoders that parse packet headers and reject damage even if they skip pictures, which is about
thirty times faster than decoding."""
_OTHER_CODECS = frozenset({"vp9", "av1", "libdav1d"})
_FILES_KEPT = 8
_INSTANT_REFRESH = 5
"""nal_unit_type of an IDR slice, H.264 table 7-1: nothing after it refers to earlier frames."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameTimes:
    """Times of all frames, and the key frames at which decoding can start."""

    ticks: NDArray[np.int64]
    """(F,) increasing presentation times in the stream's time base."""
    seconds: NDArray[np.float64]
    """(F,) the same in seconds."""
    keys: NDArray[np.int64]
    """Increasing indices of frames at which decoding can start; the first is 0."""
    key_dts: NDArray[np.int64]
    """Decoding time of each of these frames, for seeking."""
    form: PictureForm
    """Form of the first picture."""

    def index_at(self, ticks: int | None) -> int | None:
        """Return the index of the frame with this time, or None."""
        if ticks is None:
            return None
        index = int(np.searchsorted(self.ticks, ticks))
        return index if index < len(self.ticks) and self.ticks[index] == ticks else None


def frame_times(path: Path) -> FrameTimes | None:
    """Return the times of all frames, or None if only decoding yields them.

    Reads the whole file; recent results are cached.

    Raises:
        VideoDecodeError: if the file cannot be opened.
    """
    return _kept(path, stamp_of(regular_status(path)))


@lru_cache(maxsize=_FILES_KEPT)
def _kept(path: Path, stamp: Stamp) -> FrameTimes | None:
    with opened_video(path) as (container, stream):
        if not is_timed(container, stream):
            return None
        packets = _packets(container, stream)
    return None if packets is None else _times(path, packets)


def is_timed(container: InputContainer, stream: VideoStream) -> bool:
    """Return whether packets have times of single pictures and key frames are indexed."""
    indexed = not _INDEXED_FORMATS.isdisjoint(container.format.name.split(","))
    return indexed and stream.codec.name in _HEADER_CODECS | _OTHER_CODECS


def read_first_headers(container: InputContainer, stream: VideoStream) -> None:
    """Pass the headers of the first packet to the decoder before a seek.

    Encoders identify themselves only there, and decoders use this to work around known bugs:
    otherwise, H.264 4:4:4 written by x264 before build 151 is decoded incorrectly.
    """
    if stream.codec.name in _HEADER_CODECS:
        stream.codec_context.skip_frame = "ALL"
        for packet in container.demux(stream):
            packet.decode()
            break
        stream.codec_context.skip_frame = "DEFAULT"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packet:
    pts: int
    dts: int
    begins: bool
    """Whether decoding can start here."""


def _packets(container: InputContainer, stream: VideoStream) -> list[_Packet] | None:
    """Return all packets of the stream in decoding order; None if their times are inconsistent."""
    check = stream.codec.name in _HEADER_CODECS
    if check:
        stream.codec_context.skip_frame = "ALL"
    packets: list[_Packet] = []
    try:
        for packet in container.demux(stream):
            if packet.size == 0 and packet.pts is None:  # the end
                continue
            if packet.pts is None:
                return None
            if packet.is_corrupt or packet.is_discard or packet.size == 0:
                return None
            begins = packet.is_keyframe and _is_clean(packet, stream)
            dts = packet.pts if packet.dts is None else packet.dts
            packets.append(_Packet(pts=packet.pts, dts=dts, begins=begins))
            if check:
                packet.decode()
        if check:
            stream.decode(None)
    except av.error.EOFError:
        return packets
    except (av.FFmpegError, OSError):
        return None
    return packets


def _times(path: Path, packets: list[_Packet]) -> FrameTimes | None:
    """Return the times of packets, if they are distinct and match the first picture."""
    shown = sorted(packets, key=lambda packet: packet.pts)
    ticks = np.array([packet.pts for packet in shown], dtype=np.int64)
    keys = np.array([i for i, packet in enumerate(shown) if packet.begins], dtype=np.int64)
    if len(ticks) == 0 or (np.diff(ticks) <= 0).any() or len(keys) == 0 or keys[0] != 0:
        return None
    first = _first_picture(path)
    if not packets[0].begins or first is None or first.pts != ticks[0] or not first.time_base:
        return None  # pictures before the first key frame are not displayed
    unit = first.time_base
    seconds = ticks * unit.numerator / unit.denominator  # as in PyAV, to the last bit
    if np.abs(seconds[[0, -1]]).max() > MOST_SECONDS:
        return None  # the reader rejects it
    return FrameTimes(
        ticks=ticks,
        seconds=seconds,
        keys=keys,
        key_dts=np.array([shown[key].dts for key in keys], dtype=np.int64),
        form=PictureForm.of(first),
    )


def _first_picture(path: Path) -> VideoFrame | None:
    """Return the first decoded picture."""
    with opened_video(path) as (container, stream):
        try:
            for picture in container.decode(stream):
                if isinstance(picture, VideoFrame):
                    return picture
        except (av.FFmpegError, OSError):
            return None
    return None


def _is_clean(packet: Packet, stream: VideoStream) -> bool:
    """Return whether no picture displayed after a key frame can refer to earlier ones.

    H.264 does not guarantee this for all key frames, so an IDR picture is required.
    """
    if stream.codec.name != "h264":
        return True
    settings, content = stream.codec_context.extradata or b"", bytes(packet)
    if settings[:1] == b"\x01" and len(settings) > 4:
        return _INSTANT_REFRESH in _unit_types(content, length_bytes=(settings[4] & 3) + 1)
    return any(unit and unit[0] & 0x1F == _INSTANT_REFRESH for unit in content.split(b"\0\0\1")[1:])


def _unit_types(content: bytes, *, length_bytes: int) -> set[int]:
    """Return the nal_unit_type of each length-prefixed unit of a packet."""
    types: set[int] = set()
    offset = 0
    while offset + length_bytes < len(content):
        length = int.from_bytes(content[offset : offset + length_bytes], "big")
        offset += length_bytes
        types.add(content[offset] & 0x1F)
        offset += length
    return types
