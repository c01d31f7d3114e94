"""Digests and sizes of videos: what changes them and what does not."""

import hashlib
import os
from pathlib import Path

import pytest

from orn.shared.errors import VideoDecodeError
from orn.shared.video.read import content_bytes, content_digest, content_state


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"abc" * 99)
    wanted = "sha256:" + hashlib.sha256(b"abc" * 99).hexdigest()
    assert content_digest(path) == wanted
    assert content_bytes(path) == 297
    os.utime(path, (0, 0))
    assert content_digest(path.rename(tmp_path / "b.mp4")) == wanted


def test_a_folder_is_known_by_names_and_contents(tmp_path: Path) -> None:
    def folder(name: str, files: dict[str, bytes]) -> Path:
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_bytes(content)
        return tmp_path / name

    first = folder("1", {"01.jpg": b"ab", "02.jpg": b"c"})
    digest = content_digest(first)
    assert digest.startswith("sha256:")
    assert len(digest) == 7 + 64
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


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    for measure in (content_digest, content_bytes, content_state):
        with pytest.raises(VideoDecodeError, match=r"a\.mp4: cannot be opened \(No such file"):
            measure(tmp_path / "a.mp4")
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(VideoDecodeError, match="empty: wanted a folder of JPEGs"):
            measure(tmp_path / "empty")


def test_names_that_are_not_utf8_have_a_digest(tmp_path: Path) -> None:
    for name in (b"\xff1.jpg", b"\xfe1.jpg"):
        folder = tmp_path / f"folder-{name[0]}"
        folder.mkdir()
        (folder / os.fsdecode(name)).write_bytes(b"ab")
    assert len({content_digest(folder) for folder in tmp_path.iterdir()}) == 2
