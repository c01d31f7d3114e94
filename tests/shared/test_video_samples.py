"""Real video files, normal and odd ones, against what PyAV decodes from first to last."""

from itertools import pairwise, zip_longest
from pathlib import Path

import numpy as np
import pytest

from orn.shared.video.read import probe, read_frames
from tests.reference.decoding import decoded, repaired_seconds

CORRUPTED = "decord__corrupted.mp4"
"""What a decoder shows for its lost packet depends on its threads; only times are compared."""

NOTHING_DECODES = {
    *("moviepy__result_0byte.webm", "mp4parse__chunk_out_of_range.mp4"),
    *("mp4parse__short-cenc.mp4", "gomp4__sample_qt.mp4"),
}
ROTATED = {"decord__video_90.mov": -1, "decord__video_180.mov": 2}


def _clips(folder: Path) -> list[Path]:
    clips = [*folder.glob("clips/*/*"), *folder.glob("vlog/videos/**/*.mp4")]
    return sorted([*clips, *folder.glob("something/videos/*.webm")])


@pytest.mark.slow
@pytest.mark.real_data
def test_real_files_equal_what_pyav_decodes(sample_data: Path) -> None:
    compared = 0
    for path in _clips(sample_data):
        if path.name in NOTHING_DECODES:
            continue
        rate = probe(path).rate
        times: list[float | None] = []
        seconds: list[float] = []
        for frame, expected in zip_longest(read_frames(path), decoded(path)):
            assert frame is not None, f"{path.name}: frames are missing from {len(seconds)} on"
            assert expected is not None, f"{path.name}: too many frames from {len(seconds)} on"
            times.append(expected[0])
            seconds.append(frame.seconds)
            if path.name != CORRUPTED and frame.index % 10 == 0:
                image = np.rot90(expected[1], ROTATED.get(path.name, 0))
                assert np.array_equal(frame.image, image), f"{path.name} frame {frame.index}"
        assert seconds == repaired_seconds(times, rate=rate), path.name
        assert all(before < after for before, after in pairwise(seconds)), path.name
        compared += 1
    assert compared >= 20
