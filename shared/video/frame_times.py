"""Times of all frames of a video file, read from its packets without decoding them.

They let a range of frames be read from the key frame before it, with the same numbers and times as
if everything before had been decoded. That is possible only where each packet is known to give one
frame at its own time, so few files qualify (the rules: `docs/when_files_lie.md`); the times of any
other file are known only after decoding it.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

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
"""Containers that store each packet's time and know where key frames are."""
_HEADER_CODECS = frozenset({"h264", "hevc", "mpeg4"})
"""Decoders that, told to skip all pictures, still read each packet's headers and refuse damage: in
about a thirtieth of the time that decoding takes."""
_OTHER_CODECS = frozenset({"vp8", "vp9", "av1", "libdav1d"})
_VP8_IS_SHOWN = 0x10
"""show_frame of a frame's first byte, RFC 6386 section 9.1."""
_MPEG4_EMPTY_BYTES = 8
"""Longest VOP that is not coded: its code, type, time and an unset bit."""
_FILES_KEPT = 8
_INSTANT_REFRESH = 5
"""nal_unit_type of an IDR slice, H.264 table 7-1: nothing after it refers to anything before."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameTimes:
    """Every frame's time, and where decoding can begin."""

    ticks: NDArray[np.int64]
    """(F,) presentation times in the stream's unit, increasing."""
    seconds: NDArray[np.float64]
    """(F,) the same in seconds."""
    keys: NDArray[np.int64]
    """Places of frames from which on all later ones can be decoded, increasing; the first is 0."""
    key_dts: NDArray[np.int64]
    """Decoding time of each of these, for seeking."""
    form: PictureForm
    """The form of the first picture."""

    @property
    def size_bytes(self) -> int:
        """Memory that the arrays take."""
        return sum(a.nbytes for a in (self.ticks, self.seconds, self.keys, self.key_dts))

    def place(self, ticks: int | None) -> int | None:
        """Place of the frame with this time; None if there is none."""
        if ticks is None:
            return None
        place = int(np.searchsorted(self.ticks, ticks))
        return place if place < len(self.ticks) and self.ticks[place] == ticks else None


KnownTimes = FrameTimes | Literal["only decoding tells", "not read"]
"""What a caller knows of a file's times: all, that there are none, or nothing yet."""


def frame_times(path: Path) -> FrameTimes | None:
    """The times of all frames that decoding would give; None where only decoding can tell.

    Reads the whole file once; the latest few answers are kept.

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


_met_damage: set[tuple[Path, Stamp]] = set()
"""Files in which this process came upon damage."""


def note_damage(path: Path) -> None:
    """Remembers, in this process, that pictures of a file are damaged."""
    _met_damage.add((path, stamp_of(regular_status(path))))


def is_known_damaged(path: Path) -> bool:
    """Whether damage was noted in the file as it is."""
    return (path, stamp_of(regular_status(path))) in _met_damage


def is_timed(container: InputContainer, stream: VideoStream) -> bool:
    """Whether each packet should have the time of one picture, and key frames can be found."""
    indexed = not _INDEXED_FORMATS.isdisjoint(container.format.name.split(","))
    return indexed and stream.codec.name in _HEADER_CODECS | _OTHER_CODECS


def read_first_headers(container: InputContainer, stream: VideoStream) -> None:
    """Lets the decoder read what the first packet says beside its picture, before a seek.

    Encoders name themselves there and nowhere else, and decoders undo the faults of some by that: a
    decoder that starts later makes garbage of H.264 4:4:4 that x264 wrote before its build 151.
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
    """Whether decoding can begin here."""


def _packets(container: InputContainer, stream: VideoStream) -> list[_Packet] | None:
    """All packets of the stream in decoding order; None if any is not in order."""
    check = stream.codec.name in _HEADER_CODECS
    if check:
        stream.codec_context.skip_frame = "ALL"
    found: list[_Packet] = []
    try:
        for packet in container.demux(stream):
            if packet.size == 0 and packet.pts is None:  # the end
                continue
            if packet.pts is None:
                return None
            if packet.is_corrupt or packet.is_discard or packet.size == 0:
                return None
            if _shows_nothing(packet, stream):
                return None
            begins = packet.is_keyframe and _is_clean(packet, stream)
            dts = packet.pts if packet.dts is None else packet.dts
            found.append(_Packet(pts=packet.pts, dts=dts, begins=begins))
            if check:
                packet.decode()
        if check:
            stream.decode(None)
    except av.error.EOFError:
        return found
    except (av.FFmpegError, OSError):
        return None
    return found


def _times(path: Path, packets: list[_Packet]) -> FrameTimes | None:
    """The times by packets, if they are distinct and the first is that of the first picture."""
    shown = sorted(packets, key=lambda packet: packet.pts)
    ticks = np.array([packet.pts for packet in shown], dtype=np.int64)
    keys = np.array([i for i, packet in enumerate(shown) if packet.begins], dtype=np.int64)
    if len(ticks) == 0 or (np.diff(ticks) <= 0).any() or len(keys) == 0 or keys[0] != 0:
        return None
    first = _first_picture(path)
    if not packets[0].begins or first is None or first.pts != ticks[0] or not first.time_base:
        return None  # pictures before the first key frame are not shown, though they have packets
    unit = first.time_base
    seconds = ticks * unit.numerator / unit.denominator  # as PyAV does it, to the last bit
    if np.abs(seconds[[0, -1]]).max() > MOST_SECONDS:
        return None  # the reader refuses it
    return FrameTimes(
        ticks=ticks,
        seconds=seconds,
        keys=keys,
        key_dts=np.array([shown[key].dts for key in keys], dtype=np.int64),
        form=PictureForm.of(first),
    )


def _first_picture(path: Path) -> VideoFrame | None:
    """The first picture that comes of decoding."""
    with opened_video(path) as (container, stream):
        try:
            for picture in container.decode(stream):
                if isinstance(picture, VideoFrame):
                    return picture
        except (av.FFmpegError, OSError):
            return None
    return None


def _is_clean(packet: Packet, stream: VideoStream) -> bool:
    """Whether nothing that is shown after this key frame can refer to anything before it.

    H.264 also calls pictures key frames of which that is not certain, so there an IDR is asked for.
    """
    if stream.codec.name != "h264":
        return True
    settings, content = stream.codec_context.extradata or b"", bytes(packet)
    if settings[:1] == b"\x01" and len(settings) > 4:
        return _INSTANT_REFRESH in _unit_types(content, length_bytes=(settings[4] & 3) + 1)
    return any(unit and unit[0] & 0x1F == _INSTANT_REFRESH for unit in content.split(b"\0\0\1")[1:])


def _shows_nothing(packet: Packet, stream: VideoStream) -> bool:
    """Whether a packet only serves later ones (VP8), or may say that nothing changed (MPEG-4)."""
    if stream.codec.name == "vp8":
        return not bytes(packet)[0] & _VP8_IS_SHOWN
    return stream.codec.name == "mpeg4" and packet.size <= _MPEG4_EMPTY_BYTES


def _unit_types(content: bytes, *, length_bytes: int) -> set[int]:
    """nal_unit_type of the units of a packet, each of which follows its length."""
    types: set[int] = set()
    place = 0
    while place + length_bytes < len(content):
        length = int.from_bytes(content[place : place + length_bytes], "big")
        place += length_bytes
        types.add(content[place] & 0x1F)
        place += length
    return types
