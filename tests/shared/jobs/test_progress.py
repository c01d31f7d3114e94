"""Progress without a terminal, by a clock of our own."""

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
