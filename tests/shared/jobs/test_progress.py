"""Progress without a terminal, by a clock of our own, and one look at the drawn bar."""

import logging

import pytest

from orn.shared.jobs.progress import progress


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().split(", peak memory")[0] for record in caplog.records]


def test_one_line_an_interval_and_one_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    with progress("detect", total=100, unit="frames", terminal=False, clock=clock) as bar:
        for _ in range(8):
            clock.now += 3
            bar.advance(5)
    assert messages(caplog) == [
        "detect: 20/100 frames, 1.67 frames/s, 0:48 left",
        "detect: 40/100 frames, 1.67 frames/s, 0:36 left",
        "detect: 40/100 frames, 1.67 frames/s, 0:36 left",
    ]


def test_notes_and_memory_close_the_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    with progress("clips", total=2, unit="videos", terminal=False, clock=clock) as bar:
        clock.now += 3700
        bar.advance(note="1 failed")
        bar.advance(0)
        clock.now += 3700
        bar.advance()
    first, *_, last = (record.getMessage() for record in caplog.records)
    assert first.startswith("clips: 1/2 videos, 0.00027 videos/s, 1:01:40 left, peak memory ")
    assert first.endswith(" GiB, 1 failed")
    assert last.startswith("clips: 2/2 videos, 0.00027 videos/s, 2:03:20 so far, ")


def test_an_unknown_total_has_no_time_left_and_an_error_passes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    with (
        pytest.raises(KeyError),
        progress("scan", total=None, unit="files", terminal=False, clock=clock) as bar,
    ):
        clock.now += 20
        bar.advance(40)
        raise KeyError
    assert messages(caplog) == ["scan: 40 files, 2 files/s, 0:20 so far"] * 2


def test_on_a_terminal_a_bar_is_drawn_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("detect", total=4, unit="frames", terminal=True) as bar:
        bar.advance(3, note="2 failed")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "detect" in captured.err
    assert "3/4 frames" in captured.err
    assert "2 failed" in captured.err
