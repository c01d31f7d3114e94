"""Damaged video files: the same frames however they are asked for, and each time."""

import random
from hashlib import sha256
from itertools import islice
from pathlib import Path

import av
import pytest

from orn.shared.video.frame_times import frame_times
from orn.shared.video.read import read_frames
from tests.worlds.videos import write_numbered

UNIT_FRAMES = 20
H264 = {"x264-params": "keyint=12:min-keyint=12:open-gop=1:bframes=3"}
Found = list[tuple[int, float, str]]


def detected(path: Path, *, start: int = 0, stop: int | None = None) -> Found:
    """Number, time and digest of every frame."""
    return [
        (frame.index, frame.seconds, sha256(frame.image.tobytes()).hexdigest()[:16])
        for frame in islice(read_frames(path, start=start), stop and stop - start)
    ]


def rows_in_units(path: Path, num_frames: int) -> Found:
    """The same, of units of work."""
    starts = range(0, num_frames + 1, UNIT_FRAMES)
    return [
        row for start in starts for row in detected(path, start=start, stop=start + UNIT_FRAMES)
    ]


def flipped(path: Path, to: Path, *, seed: int) -> Path:
    """A copy with bits flipped in the pictures."""
    content = bytearray(path.read_bytes())
    first = content.index(b"mdat") + 4
    last = content.index(b"moov", first)
    draw = random.Random(seed)
    for _ in range(3):
        content[draw.randrange(first + (last - first) // 20, last)] ^= 1 << draw.randrange(8)
    to.write_bytes(content)
    return to


@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 9), marks=pytest.mark.slow)])
def test_flipped_bits_give_the_same_frames_by_range_and_each_time(tmp_path, seeds) -> None:
    """Of a film with much movement, so that most of the file is pictures."""
    sound = write_numbered(tmp_path / "a.mp4", 60, options=H264, height=96, noise=40)
    assert frame_times(sound) is not None
    for seed in seeds:
        path = flipped(sound, tmp_path / f"{seed}.mp4", seed=seed)
        whole = detected(path)
        assert whole != detected(sound)
        for _ in range(2):
            assert rows_in_units(path, len(whole)) == whole, path.name
            assert detected(path) == whole, path.name


def test_a_cut_file_keeps_every_frame_before_the_cut(tmp_path: Path) -> None:
    faststart, options = {"movflags": "faststart"}, {"g": "15", "bf": "2"}
    path = write_numbered(tmp_path / "a.mp4", 40, options=options, container_options=faststart)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    pixels, content = {row[1]: row[2] for row in detected(path)}, path.read_bytes()
    for place in range(4, len(packets), 3):
        packet = packets[place]
        assert packet.pos is not None
        cut = tmp_path / f"{place}.mp4"
        cut.write_bytes(content[: packet.pos + packet.size // 2])
        rows = detected(cut)
        kept = {row[1]: row[2] for row in rows}
        whole = [float(earlier.pts * earlier.time_base) for earlier in packets[:place]]
        assert {time: kept.get(time) for time in whole} == {time: pixels[time] for time in whole}
        assert rows_in_units(cut, len(rows)) == rows
