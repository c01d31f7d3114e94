"""Frames of video files: every one, in order, with its time; odd, damaged and real files."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from orn.shared.errors import VideoDecodeError
from orn.shared.video.read import estimate, known_seconds, probe, read_frames
from tests.worlds.videos import HEIGHT, WIDTH, number_of, write_numbered


def test_every_frame_comes_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of other containers and codecs, in test_frame_times and test_damaged."""
    write_numbered(tmp_path / "12:30.mp4", 40)
    monkeypatch.chdir(tmp_path)
    frames = list(read_frames(Path("12:30.mp4")))
    assert [number_of(frame.image) for frame in frames] == list(range(40))
    assert [frame.index for frame in frames] == list(range(40))
    assert all(a.seconds < b.seconds for a, b in pairwise(frames))
    image = frames[0].image
    assert (image.shape, image.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert image.flags.c_contiguous


def test_times_are_those_of_the_file(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 5, rate=10, pts=[0, 1, 5, 6, 20])
    seconds = [frame.seconds for frame in read_frames(path)]
    np.testing.assert_allclose(seconds, [0, 0.1, 0.5, 0.6, 2.0], atol=1e-9)
    np.testing.assert_array_equal(known_seconds(path), seconds)
    for start in range(1, 5):
        assert [frame.seconds for frame in read_frames(path, start=start)] == seconds[start:]


def test_a_size_that_changes_is_brought_to_the_first(tmp_path: Path) -> None:
    first = write_numbered(tmp_path / "1.ts", 12)
    second = write_numbered(tmp_path / "2.ts", 8, height=2 * HEIGHT, first=12)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    frames = list(read_frames(joined))
    assert [number_of(frame.image) for frame in frames] == list(range(20))
    assert {frame.image.shape for frame in frames} == {(HEIGHT, WIDTH, 3)}
    assert all(a.seconds < b.seconds for a, b in pairwise(frames))


def test_what_the_header_tells(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", 20, rate=15, sample_aspect=Fraction(16, 9))
    info = probe(path)
    assert (info.height, info.width, info.rate, info.header_frames) == (HEIGHT, WIDTH, 15.0, 20)
    assert info.sample_aspect == Fraction(16, 9)
    assert estimate(path).frames == 20
    silent = write_numbered(tmp_path / "a.mkv", 20, container_options={"live": "1"})
    assert probe(silent).header_frames is None
    assert probe(silent).sample_aspect in (None, 1)
    assert estimate(silent).frames == 20


@pytest.mark.skipif(
    not hasattr(VideoStream, "set_display_rotation"), reason="this PyAV writes no rotation"
)
@pytest.mark.parametrize(
    ("turn", "aspect"), [(90, Fraction(9, 16)), (180, Fraction(16, 9)), (-90, Fraction(9, 16))]
)
def test_a_rotation_that_the_file_asks_for_is_applied(tmp_path, turn, aspect) -> None:
    stored = next(read_frames(write_numbered(tmp_path / "a.mp4", 8, first=5))).image
    path = write_numbered(tmp_path / "b.mp4", 8, first=5, turn=turn, sample_aspect=Fraction(16, 9))
    shown = next(read_frames(path)).image
    assert np.array_equal(shown, np.rot90(stored, turn // 90))
    assert (probe(path).height, probe(path).width) == shown.shape[:2]
    assert probe(path).sample_aspect == aspect


def retimed(path: Path, ticks: Sequence[int], out: Path) -> Path:
    """The same packets at other times, in milliseconds, of which Matroska also holds equal ones."""
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet, tick in zip(packets, ticks, strict=True):
            packet.stream, packet.time_base, packet.duration = stream, Fraction(1, 1000), 0
            packet.pts = packet.dts = tick
            target.mux(packet)
    return out


@pytest.mark.parametrize(
    ("ticks", "seconds"),
    [
        ([0, 100, 100, 150, 200, 900, 950], [0, 0.1, 0.125, 0.15, 0.2, 0.9, 0.95]),
        ([0, 0, 40, 80, 80, 800, 840], [0, 0.02, 0.04, 0.08, 0.18, 0.8, 0.84]),
        ([0, 100, 200, 300, 400, 500, 500], [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
    ],
)
def test_a_tie_of_times_moves_no_other_frame(tmp_path, ticks, seconds) -> None:
    made = write_numbered(tmp_path / "a.mkv", len(ticks), options={"bf": "0"})
    frames = list(read_frames(retimed(made, ticks, tmp_path / "tied.mkv")))
    assert [number_of(frame.image) for frame in frames] == list(range(len(ticks)))
    np.testing.assert_allclose([frame.seconds for frame in frames], seconds, atol=1e-9)


def test_a_time_that_no_video_reaches_is_refused(tmp_path: Path) -> None:
    made = write_numbered(tmp_path / "a.mkv", 3, options={"bf": "0"})
    far = retimed(made, [0, 100, 10**11], tmp_path / "far.mkv")
    assert [frame.seconds for frame in read_frames(far)] == [0, 0.1, 1e8]
    farther = retimed(made, [0, 100, 10**14], tmp_path / "farther.mkv")
    assert known_seconds(farther) is None
    with pytest.raises(VideoDecodeError, match=r"farther.mkv: expected frame times .* for frame 2"):
        list(read_frames(farther))
