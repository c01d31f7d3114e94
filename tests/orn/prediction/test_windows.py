"""Windows of long videos, and what overlapping ones come to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.prediction.prediction import WindowPrediction, moments_of
from orn.prediction.video import windows_of
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clip_store.store_format import StoreSettings
from orn.stage2_train.report.shown_clip import ShownClip
from orn.stage2_train.runs.predictions import probabilities
from orn.stage2_train.runs.run_config import ClipRecord
from tests.orn.prediction.conftest import segments_of

UNKNOWN = ClipRecord(frames=StoreSettings(size=(48, 72)))
TRAINED = replace(UNKNOWN, window_seconds=1.0, longest_seconds=2.0)


def times(seconds: float, rate: float = 10.0) -> np.ndarray:
    return np.arange(round(seconds * rate)) / rate


def window(start: float, stop: float, *logits: float) -> WindowPrediction:
    logits_A = np.array(logits, np.float32)
    return WindowPrediction(
        video="film",
        classes=tuple("abcdefgh"[: len(logits)]),
        start_seconds=start,
        stop_seconds=stop,
        frames=(),
        logits={"object_head": logits_A},
        probabilities=probabilities(logits_A, multi_label=False),
        clip=ShownClip(seconds=(), objects=(), grid=(1, 1), activity="a"),
    )


@pytest.mark.parametrize(
    ("seconds", "length", "clips", "number"),
    [
        (2.0, None, TRAINED, 1),  # as long as the longest segment
        (2.1, None, TRAINED, 4),
        (9.0, None, UNKNOWN, 1),  # nothing is known of the training
        (1.0, 1.0, UNKNOWN, 1),
        (1.2, 1.0, TRAINED, 2),
        (3.0, 1.0, TRAINED, 5),
        (1.0, 0.1, TRAINED, 10),  # one a frame at most
    ],
)
def test_windows_cover_a_video(seconds: float, length, clips: ClipRecord, number) -> None:
    windows = windows_of(times(seconds), clips, window=length)
    assert len(windows) == number
    assert (windows == [TimeRange()]) == (number == 1)
    assert number == 1 or windows[-1].stop_seconds == pytest.approx(seconds)


@given(
    gaps=st.lists(st.sampled_from([0.04, 0.1, 0.1, 0.7, 3.0, 40.0]), min_size=2, max_size=30),
    window=st.sampled_from([0.1, 0.3, 1.0, 2.5, 8.0]),
)
def test_windows_of_a_grid_hold_every_frame(gaps, window) -> None:
    """All windows with a frame, unless a gap is longer than half a window."""
    seconds_F = 5 + np.cumsum(gaps)
    interval = float(np.median(np.diff(seconds_F)))
    first, end, stride = seconds_F[0], seconds_F[-1] + interval, max(window / 2, interval)
    windows = windows_of(seconds_F, UNKNOWN, window=window)
    if end - first <= window + interval / 2:
        assert windows == [TimeRange()]
        return
    number = int(np.ceil((end - first - window) / stride - 1e-6))
    starts = [*(first + stride * np.arange(number)).tolist(), end - window]
    every = [TimeRange(start, start + window) for start in starts]
    with_frames = [span for span in every if any(second in span for second in seconds_F)]
    assert set(windows) <= set(with_frames)
    if max(gaps[1:]) <= stride:
        assert windows == with_frames
    if stride <= window:
        assert all(any(second in span for span in windows) for second in seconds_F)


def test_overlapping_windows_are_averaged_and_equal_neighbors_merged() -> None:
    windows = [window(0, 2, 1, 0), window(1, 3, 3, 0), window(2, 4, 0, 5)]
    first, second = segments_of(windows)
    assert (first.start_seconds, first.stop_seconds, first.labels) == (0, 2, (0,))
    assert (second.start_seconds, second.stop_seconds, second.labels) == (2, 4, (1,))
    assert first.logits["object_head"].tolist() == [1.5, 0.0]  # of 1 for a second, 2 for one
    assert second.logits["object_head"].tolist() == [0.75, 3.75]
    assert first.windows == 2


@given(
    starts=st.lists(st.sampled_from([0.0, 1.0, 1.0 + 1e-9, 2.0]), min_size=1, max_size=6),
    lengths=st.lists(st.sampled_from([1.0, 1.0 - 1e-9, 1.5]), min_size=6, max_size=6),
)
def test_no_moment_is_empty(starts, lengths) -> None:
    windows = [
        window(start, start + length, index % 2, (index + 1) % 2)
        for index, (start, length) in enumerate(zip(sorted(starts), lengths, strict=False))
    ]
    moments = [*moments_of(windows)]
    assert moments
    assert all(moment.stop_seconds - moment.start_seconds > 1e-6 for moment in moments)


def test_a_gap_parts_stretches_and_moments_are_not_merged() -> None:
    merged = segments_of([window(0, 1, 1, 0), window(5, 6, 1, 0)])
    assert [(segment.start_seconds, segment.stop_seconds) for segment in merged] == [(0, 1), (5, 6)]
    merged = moments_of([window(0, 2, 1, 0), window(1, 3, 3, 0)])
    assert [segment.start_seconds for segment in merged] == [0, 1, 2]


def test_several_classes_or_none_may_hold() -> None:
    one, other = segments_of([window(0, 1, 5, 5, -5), window(1, 2, -5, -5, -5)], multi_label=True)
    assert [segment.labels for segment in (one, other)] == [(0, 1), ()]
    assert one.probabilities.sum() > 1.5
    assert (one.predicted_text(), other.predicted_text()) == ("a 99 %, b 99 %", "none")


@pytest.mark.parametrize("far", [1e8, 1e10])
def test_a_time_that_lies_costs_no_windows_before_it(far: float) -> None:
    seconds_F = np.append(times(3.0), far)
    windows = windows_of(seconds_F, TRAINED)
    assert len(windows) <= 3 * len(seconds_F)
    assert windows[-1].stop_seconds == pytest.approx(far + 0.1)
