"""Videos whose headers claim more than is in the file, made by changing bytes of good ones."""

import struct
from collections.abc import Callable
from pathlib import Path

MOST_FRAMES = 2**31 - 1


def claim_frames(path: Path) -> None:
    """Has the header of an AVI or MP4 file promise 2^31 - 1 frames."""
    content = bytearray(path.read_bytes())
    if path.suffix == ".avi":
        place = content.index(b"strh") + 40
        content[place : place + 4] = struct.pack("<I", MOST_FRAMES)
    else:
        place = content.index(b"stts") + 12
        content[place : place + 4] = struct.pack(">I", MOST_FRAMES)
    path.write_bytes(content)


def claim_seconds(path: Path, ticks: float = 1e15) -> None:
    """Has the header of a Matroska or WebM file promise a duration in milliseconds."""
    content = bytearray(path.read_bytes())
    place = content.index(b"\x44\x89\x88") + 3
    content[place : place + 8] = struct.pack(">d", ticks)
    path.write_bytes(content)


LIARS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "frames.avi": ("mpeg4", claim_frames),
    "frames.mp4": ("libx264", claim_frames),
    "seconds.mkv": ("libx264", claim_seconds),
    "seconds.webm": ("libvpx", claim_seconds),
}
"""Codec of a good file by its name, and what makes its header lie."""
