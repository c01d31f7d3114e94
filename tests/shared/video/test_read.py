"""Digests, sizes and lengths of videos, found without decoding them."""

import hashlib
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from orn.shared.errors import VideoDecodeError
from orn.shared.video.read import content_bytes, content_digest, estimate, known_seconds, probe
from tests.bounded import bounded
from tests.worlds.videos import claim_frames, write_numbered


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"abc" * 99)
    expected = "sha256:" + hashlib.sha256(b"abc" * 99).hexdigest()
    assert content_digest(path) == expected
    assert content_bytes(path) == 297
    os.utime(path, (0, 0))
    assert content_digest(path.rename(tmp_path / "b.mp4")) == expected


def test_a_folder_is_known_by_names_and_contents(tmp_path: Path) -> None:
    def folder(name: str, files: dict[str, bytes]) -> Path:
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_bytes(content)
        return tmp_path / name

    first = folder("1", {"01.jpg": b"ab", "02.jpg": b"c"})
    digest = content_digest(first)
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest)
    assert content_bytes(first) == 3
    assert content_digest(folder("2", {"02.jpg": b"c", "01.jpg": b"ab", "x.txt": b"y"})) == digest
    others = [
        folder("3", {"01.jpg": b"a", "02.jpg": b"bc"}),
        folder("4", {"01.jpg": b"ab", "03.jpg": b"c"}),
        folder("5", {"01.jpg": b"ab", "02.jpg": b"c", "03.jpg": b""}),
        folder("6", {"01.jpg": b"ab", "02.jpg": b"d"}),
        folder("7", {"01.jpg": b"ab02.jpg\0c"}),
    ]
    assert len({digest, *map(content_digest, others)}) == 6


@pytest.mark.parametrize("name", ["gone", "v" * 300])
def test_what_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    for measure in (probe, estimate, known_seconds, content_digest, content_bytes):
        with pytest.raises(VideoDecodeError, match=rf"{name[:50]}.*: .*\((No such|File name too)"):
            measure(tmp_path / name)
        with pytest.raises(VideoDecodeError, match=r"empty: expected (JPEGs|a folder)"):
            measure(tmp_path / "empty")


def claim_seconds(path: Path, ticks: float = 1e15) -> None:
    """Has the header of a Matroska or WebM file promise a duration in milliseconds."""
    content = bytearray(path.read_bytes())
    struct.pack_into(">d", content, content.index(b"\x44\x89\x88") + 3, ticks)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "codec", "lie"),
    [
        ("frames.avi", "mpeg4", claim_frames),
        ("frames.mp4", "libx264", claim_frames),
        ("seconds.mkv", "libx264", claim_seconds),
        ("seconds.webm", "libvpx", claim_seconds),
    ],
)
def test_a_header_that_promises_more_than_the_file_can_hold(
    tmp_path: Path, name: str, codec: str, lie: Callable[[Path], None]
) -> None:
    path = write_numbered(tmp_path / name, 20, codec=codec)
    for ticks in (float("nan"), -5e9, 0.0) if lie is claim_seconds else ():
        claim_seconds(path, ticks)
        assert estimate(path).frames == 20
    lie(path)
    assert bounded(estimate, path).frames == 20
