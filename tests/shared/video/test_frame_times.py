"""Times told without decoding, and ranges sought by them, equal what decoding from the first frame
gives."""

from itertools import islice

import av
import numpy as np
import pytest

from orn.shared.video.decode_file import read_file
from orn.shared.video.frame_times import frame_times
from tests.worlds.videos import number_of, write_numbered

NUM_FRAMES = 24

SOUGHT = [
    ("closed.mp4", "libx264", {"g": "12", "bf": "3"}),
    ("open.mp4", "libx264", {"x264-params": "keyint=8:min-keyint=8:open-gop=1:bframes=3"}),
    ("one.mp4", "libx264", {"g": "999", "bf": "2"}),
    ("all-key.mp4", "libx264", {"g": "1", "bf": "0"}),
    ("blocks.mkv", "libx264", {"g": "9", "bf": "2"}),
    ("hevc.mp4", "libx265", {"x265-params": "keyint=8:min-keyint=8:open-gop=1:log-level=none"}),
    ("vp9.webm", "libvpx-vp9", {"g": "10"}),
    ("av1.mkv", "libsvtav1", {"g": "10", "preset": "12"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), SOUGHT)
def test_every_range_equals_that_of_the_whole(tmp_path, name, codec, options) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    path = write_numbered(tmp_path / name, NUM_FRAMES, codec=codec, options=options)
    whole = list(read_file(path))
    assert [number_of(frame.image) for frame in whole] == list(range(NUM_FRAMES))
    times = frame_times(path)
    assert times is not None
    assert times.seconds.tolist() == [frame.seconds for frame in whole]
    for start in range(len(whole) + 2):
        frames = list(islice(read_file(path, start=start), 2))
        expected = whole[start : start + 2]
        assert [(f.index, f.seconds) for f in frames] == [(f.index, f.seconds) for f in expected]
        for one, other in zip(frames, expected, strict=True):
            assert np.array_equal(one.image, other.image), (path.name, start, one.index)
