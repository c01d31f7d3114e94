"""Single JPEGs: nothing but a JPEG of a bounded size is opened."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from orn.shared.errors import VideoDecodeError
from orn.shared.video.jpeg_folder import jpeg_image
from orn.shared.video.read import read_frames
from tests.bounded import bounded
from tests.shared.video.test_jpeg_folder import write_folder

EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 160 32
%%EndComments
0 0 160 32 rectfill
showpage
%%EOF
"""


def claiming(content: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header claims another size."""
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]


def indices(folder: Path) -> list[int]:
    """Numbers of the frames that can be read."""
    return [frame.index for frame in read_frames(folder, rate=10.0)]


def test_no_program_is_started_for_a_picture_of_another_format(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "v", [("1.jpg", 0), ("3.jpg", 1)])
    (folder / "2.jpg").write_bytes(EPS)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("gs", "gswin64c", "djpeg"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
        (programs / name).chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from orn.shared.video.read import read_frames\n"
        "print([f.index for f in read_frames(Path(sys.argv[1]), rate=10.0)])"
    )
    searched = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, "PATH": searched},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[0, 1]\n"
    assert "1 of 3 JPEGs left out, which cannot be decoded (2.jpg: not a JPEG file)" in done.stderr
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(("width", "height"), [(65500, 65500), (13000, 13000), (8192, 8193)])
def test_a_size_beyond_the_bound_is_refused_before_it_is_decoded(
    tmp_path: Path, width: int, height: int
) -> None:
    folder = write_folder(tmp_path / "v", [("1.jpg", 0), ("2.jpg", 1)])
    (folder / "1.jpg").write_bytes(claiming((folder / "1.jpg").read_bytes(), width, height))
    assert bounded(indices, folder) == [0]
    message = f"1.jpg: has {width} x {height} pixels, at most 67,108,864 are read"
    with pytest.raises(VideoDecodeError, match=re.escape(message)):
        jpeg_image(folder / "1.jpg")
