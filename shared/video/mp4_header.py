"""Frames and rate of a plain MP4 file, read from its header without FFmpeg.

FFmpeg also decodes a picture when it opens a file, which takes 2 to 3 ms; of a hundred thousand
files only this is wanted. What is not as almost every such file is, is left to FFmpeg: nothing here
is an error. Numbers are those that FFmpeg's demuxer gives (`libavformat/mov.c`): the frames of the
table of durations, and their number over its sum. Format: ISO/IEC 14496-12.
"""

import os
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

_FIRST_BYTES = 32 * 2**10
"""What is read first: often the whole header."""
_MOST_HEADER_BYTES = 4 * 2**20
_MOST_BOXES = 64
_MOST_INT = 2**31 - 1
_CODECS = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1"})
"""H.264 and H.265, which every FFmpeg decodes."""
_Boxes = dict[bytes, list[tuple[int, int]]]
"""By kind, where the content of each begins and ends."""


def mp4_frames(path: Path, size: int) -> tuple[int, float] | None:
    """Frames and frames a second of the only film in a regular file of so many bytes; None where
    FFmpeg has to tell."""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            header = _header(file, size)
        finally:
            os.close(file)
        return None if header is None else _film(header, size)
    except (OSError, ValueError, KeyError, struct.error):
        return None


def _header(file: int, size: int) -> bytes | None:
    """The content of the box `moov`."""
    first = os.pread(file, _FIRST_BYTES, 0)
    if first[4:8] != b"ftyp":
        return None
    place = 0
    for _ in range(_MOST_BOXES):
        begin = first[place : place + 16] or os.pread(file, 16, place)
        length, kind = struct.unpack_from(">I4s", begin)
        before = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", begin, 8)
            before = 16
        if kind == b"moof" or not before <= length <= size - place:
            return None
        if kind == b"moov":
            if length > _MOST_HEADER_BYTES:
                return None
            end = place + length
            content = first[:end] if end <= len(first) else os.pread(file, length, place)
            return content[-(length - before) :]
        place += length
    return None


def _film(header: bytes, size: int) -> tuple[int, float] | None:
    """What the tables of the only film say.

    Raises:
        ValueError: also KeyError, struct.error: if the header is not as almost all are.
    """
    movie = _boxes(header, (0, len(header)))
    if movie.keys() & {b"mvex", b"cmov"}:
        return None
    tracks = [_boxes(header, _only(_boxes(header, trak), b"mdia")) for trak in movie[b"trak"]]
    (film,) = [each for each in tracks if _field(header, each, b"hdlr", ">8x4s") == (b"vide",)]
    is_long = _field(header, film, b"mdhd", ">B") == (1,)
    (unit,) = _field(header, film, b"mdhd", ">20xI" if is_long else ">12xI")
    table = _boxes(header, _only(_boxes(header, _only(film, b"minf")), b"stbl"))
    num_codecs, codec = _field(header, table, b"stsd", ">4xI4x4s")
    (num_runs,) = _field(header, table, b"stts", ">4xI")
    (num_sizes,) = _field(header, table, b"stsz", ">8xI")
    form, kind = (">u8", b"co64") if b"co64" in table else (">u4", b"stco")
    places = np.frombuffer(_rest(header, table, kind, 8), form)
    spread = np.frombuffer(_rest(header, table, b"stsc", 8), ">u4")[::3]
    if places.max() >= size or not 1 <= spread.min() <= spread.max() <= len(places):
        return None  # damaged, which FFmpeg tells
    durations = _rest(header, table, b"stts", 8)
    if num_codecs != 1 or codec not in _CODECS or len(durations) != 8 * num_runs:
        return None
    runs = struct.unpack(f">{2 * num_runs}I", durations)
    counts, lengths = runs[::2], runs[1::2]
    frames = sum(counts)
    ticks = sum(count * length for count, length in zip(counts, lengths, strict=True))
    if frames != num_sizes or not all(0 < each < 2**31 for each in (*runs, unit)):
        return None
    rate = Fraction(unit * frames, ticks)
    if max(rate.numerator, rate.denominator) > _MOST_INT:  # FFmpeg rounds it
        return None
    return frames, float(rate)


def _boxes(header: bytes, within: tuple[int, int]) -> _Boxes:
    """The boxes that fill a stretch of the header."""
    found: _Boxes = {}
    place, end = within
    while place < end:
        length, kind = struct.unpack_from(">I4s", header, place)
        if not 8 <= length <= end - place:
            raise ValueError("a box of another length")
        found.setdefault(kind, []).append((place + 8, place + length))
        place += length
    return found


def _only(boxes: _Boxes, kind: bytes) -> tuple[int, int]:
    (only,) = boxes[kind]
    return only


def _rest(header: bytes, boxes: _Boxes, kind: bytes, begin: int) -> bytes:
    """What stands in the only box of a kind behind its first bytes."""
    start, stop = _only(boxes, kind)
    return header[start + begin : stop]


def _field(header: bytes, boxes: _Boxes, kind: bytes, form: str) -> tuple[Any, ...]:
    """Values at the beginning of the only box of a kind."""
    start, stop = _only(boxes, kind)
    if stop - start < struct.calcsize(form):
        raise ValueError("a box that is too short")
    return struct.unpack_from(form, header, start)
