"""Progress without a terminal, by a clock of our own, and one look at the drawn bar."""

import logging
import re

import pytest

from orn.shared.jobs.progress import progress


def test_a_line_an_interval_and_one_at_the_end(caplog, monkeypatch) -> None:
    caplog.set_level(logging.INFO)
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with progress("clips", total=4, unit="videos", terminal=False) as bar:
        for _ in range(4):
            now[0] += 6
            bar.advance(note="1 failed")
    with (
        pytest.raises(KeyError),
        progress("scan", total=None, unit="files", terminal=False) as bar,
    ):
        now[0] += 3700
        bar.advance(40)
        raise KeyError
    assert [re.sub(r"peak memory \S+ GiB", "memory", message) for message in caplog.messages] == [
        "clips: 2/4 videos, 0.167 videos/s, 0:12 left, memory, 1 failed",
        *["clips: 4/4 videos, 0.167 videos/s, 0:24 so far, memory, 1 failed"] * 2,
        *["scan: 40 files, 0.0108 files/s, 1:01:40 so far, memory"] * 2,
    ]


def test_time_before_the_first_step_does_not_count_as_work(caplog, monkeypatch) -> None:
    caplog.set_level(logging.INFO)
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with progress("detect", total=100, unit="frames", terminal=False) as bar:
        for seconds, num_frames in ((10, 0), (50, 10), (5, 5), (5, 5), (20, 60), (5, 20)):
            now[0] += seconds
            bar.advance(num_frames)
    messages = [re.sub(r", peak memory .*", "", message) for message in caplog.messages]
    assert messages == [
        "detect: 0/100 frames, 0 frames/s, 0:10 so far",
        "detect: 10/100 frames, 0.167 frames/s, 1:00 so far",  # 50 s to load the detector
        "detect: 20/100 frames, 0.286 frames/s, 1:20 left",  # 10 frames in 10 s
        "detect: 80/100 frames, 0.889 frames/s, 0:09 left",  # 70 frames in 30 s
        "detect: 100/100 frames, 1.05 frames/s, 1:35 so far",
    ]
