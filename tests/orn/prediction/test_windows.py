"""Windows of long videos."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.prediction.predict_windows import windows_of
from orn.prediction.prediction_records import WindowPrediction
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clip_store.store_format import StoreSettings
from orn.stage2_train.report.shown_clip import ShownClip
from orn.stage2_train.runs.run_config import ClipRecord
from orn.stage2_train.runs.saved_predictions import probabilities

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
        labels=(int(logits_A.argmax()),),
        clip=ShownClip(seconds=(), objects=(), grid=(1, 1), activity="a"),
    )


@pytest.mark.parametrize(
    ("seconds", "length", "clips", "number"),
    [
        (2.0, None, TRAINED, 1),  # as long as the longest segment
        (2.1, None, TRAINED, 3),
        (9.0, None, UNKNOWN, 1),  # nothing is known of the training
        (1.0, 1.0, UNKNOWN, 1),
        (1.2, 1.0, TRAINED, 2),
        (3.0, 1.0, TRAINED, 3),
        (1.0, 0.1, TRAINED, 10),  # one a frame at most
    ],
)
def test_windows_cover_a_video(seconds: float, length, clips: ClipRecord, number) -> None:
    windows = windows_of(times(seconds), clips, window=length)
    assert len(windows) == number
    assert (windows == [TimeRange()]) == (number == 1)
    assert number == 1 or windows[-1].stop_seconds == pytest.approx(seconds)
    for window, later in list(pairwise(windows))[:-1]:
        assert window.stop_seconds == later.start_seconds


@given(
    gaps=st.lists(st.sampled_from([0.04, 0.1, 0.1, 0.7, 3.0, 40.0]), min_size=2, max_size=30),
    window=st.sampled_from([0.1, 0.3, 1.0, 2.5, 8.0]),
)
def test_windows_of_a_grid_hold_every_frame(gaps, window) -> None:
    """And no other than the last two share one."""
    seconds_F = 5 + np.cumsum(gaps)
    interval = float(np.median(np.diff(seconds_F)))
    first, end, length = seconds_F[0], seconds_F[-1] + interval, max(window, interval)
    windows = windows_of(seconds_F, UNKNOWN, window=window)
    if end - first <= window + interval / 2:
        assert windows == [TimeRange()]
        return
    assert all(any(second in span for second in seconds_F) for span in windows)
    assert all(any(second in span for span in windows) for second in seconds_F)
    for second in seconds_F:
        assert sum(second in span for span in windows[:-1]) <= 1
    lengths = [span.stop_seconds - span.start_seconds for span in windows]
    assert lengths == pytest.approx([length] * len(windows))


def test_several_classes_or_none_may_hold() -> None:
    several = replace(window(0, 1, 5, 5, -5), labels=(0, 1), probabilities=np.array([0.9, 0.8, 0]))
    none = replace(several, labels=())
    assert several.predicted_text() == "a 90 %, b 80 %"
    assert (none.predicted_text(), none.runners_up_text()) == ("none", "a 90 %, b 80 %")


@pytest.mark.parametrize("far", [1e8, 1e10])
def test_a_time_that_lies_costs_no_windows_before_it(far: float) -> None:
    seconds_F = np.append(times(3.0), far)
    windows = windows_of(seconds_F, TRAINED)
    assert len(windows) <= 3 * len(seconds_F)
    assert windows[-1].stop_seconds == pytest.approx(far + 0.1)
