"""What the header of a plain MP4 file says is what FFmpeg says; all else is left to FFmpeg."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from orn.shared.errors import VideoDecodeError
from orn.shared.video.file import estimate_file, told_by_header
from orn.shared.video.frame import FrameEstimate
from orn.shared.video.read import estimate
from tests.worlds.videos import write_numbered, write_pictures


def written(path: Path, *, options: dict[str, str], form: str = "mp4", streams: int = 1) -> Path:
    """A film of 40 frames of noise at 30000/1001 frames/s; some streams may be sound or films."""
    generator = np.random.default_rng(0)
    with av.open(str(path), "w", format=form, options=options) as container:
        films = [
            container.add_stream("libx264", rate=Fraction(30000, 1001)) for _ in range(streams)
        ]
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for film in films:
            film.height, film.width, film.pix_fmt = 64, 96, "yuv420p"
        for _ in range(40):
            image = generator.integers(0, 256, (64, 96, 3), dtype=np.uint8)
            for film in films:
                container.mux(film.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.rate = 16000
        container.mux(sound.encode(silence))
        for stream in (*films, sound):
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    "flags", ["disable_chpl", "faststart", "negative_cts_offsets", "write_colr"]
)
@pytest.mark.parametrize("form", ["mp4", "mov", "ipod"])
def test_a_plain_file(tmp_path: Path, form: str, flags: str) -> None:
    path = written(tmp_path / "a.mp4", options={"movflags": flags}, form=form)
    found = told_by_header(path)
    assert found == estimate_file(path) == estimate(path)
    assert found == FrameEstimate(frames=40, rate=30000 / 1001)


def test_uneven_times(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(60)]
    times = [number**2 + 7 for number in range(60)]
    path = write_pictures(tmp_path / "a.mp4", pictures, rate=1000, pts=times)
    found = told_by_header(path)
    assert found is not None and found.frames == 60
    assert found == estimate_file(path)


@pytest.mark.parametrize(
    ("name", "form", "options", "streams"),
    [
        ("fragments.mp4", "mp4", {"movflags": "frag_keyframe+empty_moov"}, 1),
        ("two films.mp4", "mp4", {}, 2),
        ("a.mkv", "matroska", {}, 1),
    ],
)
def test_other_files_are_left_to_ffmpeg(
    tmp_path: Path, name: str, form: str, options: dict[str, str], streams: int
) -> None:
    path = written(tmp_path / name, options=options, form=form, streams=streams)
    assert told_by_header(path) is None
    assert estimate(path).frames in (40, 80)


def test_what_is_no_file_is_told_and_no_h264_is_left_to_ffmpeg(tmp_path: Path) -> None:
    assert told_by_header(write_numbered(tmp_path / "a.mp4", 20, codec="mpeg4")) is None
    path = written(tmp_path / "b.mp4", options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:1500])
    assert told_by_header(path) is None
    for path in (tmp_path / "absent.mp4", tmp_path):
        with pytest.raises(VideoDecodeError):
            told_by_header(path)


def test_files_of_others(sample_data: Path) -> None:
    told = 0
    for path in sorted(sample_data.rglob("*.mp4")):
        found = told_by_header(path)
        if found is not None:
            assert found == estimate_file(path), path
            told += 1
    assert told > 5
