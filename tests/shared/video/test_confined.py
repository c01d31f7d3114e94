"""What a video file may make FFmpeg open: nothing but itself."""

import os
import re
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from orn.shared.errors import VideoDecodeError
from orn.shared.video.frame_times import frame_times
from orn.shared.video.read import estimate, probe, read_frames
from tests.bounded import bounded
from tests.worlds.videos import write_numbered

NONE_OF_THOSE = "expected a container such as MP4, MOV, Matroska, WebM, AVI or MPEG"
SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=x
c=IN IP4 127.0.0.1
t=0 0
m=video 5004 RTP/AVP 96
a=rtpmap:96 H264/90000
"""
HLS = """#EXTM3U
#EXT-X-TARGETDURATION:10
#EXTINF:1,
{canary}
#EXT-X-ENDLIST
"""
LISTS = {
    "concat.mp4": "ffconcat version 1.0\nfile {canary}\n",
    "stream.concat.mkv": "ffconcat version 1.0\nfile 'concat:{canary}'\n",
    "hls.mp4": HLS,
    "session.mp4": SDP,
    "script.avi": "testsrc=size=16x16:rate=10:duration=1",
}


READERS: list[Callable[[Path], Any]] = [
    lambda path: list(read_frames(path)),
    probe,
    estimate,
    frame_times,
]


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A film that no other file may make FFmpeg open; reading it sets the time of its access, where
    a system keeps such times."""
    path = write_numbered(tmp_path / "canary.ts", 5)
    os.utime(path, ns=(0, path.stat().st_mtime_ns))
    return path


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_other_files_is_refused(tmp_path, canary, name, monkeypatch) -> None:
    path = tmp_path / name
    path.write_text(LISTS[name].format(canary=canary.name))
    monkeypatch.chdir(tmp_path)
    for read in READERS:
        with pytest.raises(VideoDecodeError, match=rf"{re.escape(name)}: (expected|cannot be)"):
            read(path)
    assert canary.stat().st_atime_ns == 0


def test_numbered_pictures_are_not_looked_for(tmp_path: Path) -> None:
    for name in ("p0.jpg", "p1.jpg", "p%d.jpg", "p*.jpg"):
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / name)
    for name in ("p%d.jpg", "p*.jpg", "p0.jpg"):
        with pytest.raises(VideoDecodeError, match=NONE_OF_THOSE):
            probe(tmp_path / name)


def number_of_frames(path: Path) -> int:
    return sum(1 for _ in read_frames(path))


def test_a_picture_beyond_the_bound_is_not_decoded(tmp_path: Path) -> None:
    path, picture = tmp_path / "a.avi", BytesIO()
    Image.new("L", (13000, 13000)).save(picture, "JPEG")
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 13000, 13000, "yuvj420p"
        container.start_encoding()
        packet = av.Packet(picture.getvalue())
        packet.pts = packet.dts = 0
        packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 10), True
        container.mux(packet)
    for read in (probe, number_of_frames):
        with pytest.raises(VideoDecodeError, match=r"no size of at most 67,108,864 pixels"):
            bounded(read, path)
    assert bounded(frame_times, path) is None
