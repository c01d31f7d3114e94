"""Writing the clip store: which times of a video go in, in which ranges and at which rate."""

from dataclasses import replace

import h5py
import numpy as np

from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.frames.writer import build_clip_store, remaining_videos

SETTINGS = StoreSettings(height=24, width=32)


def between(start: float, stop: float) -> TimeRanges:
    """One range."""
    return TimeRanges.of([TimeRange(start, stop)])


def test_only_labelled_times_with_the_indices_and_times_of_the_source(videos, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    ranges = {"group/2": TimeRanges.of([TimeRange(0.1, 0.2), TimeRange(0.3, 0.45)])}
    build_clip_store(videos, path, SETTINGS, ranges=ranges)
    store = ClipStore(path)
    assert len(store.frames("group/1")) == 4
    frames = store.frames("group/2")
    np.testing.assert_allclose(frames.seconds, [0.1, 0.3, 0.4], atol=1e-6)
    assert frames.covers(TimeRange(0.31, 0.4))
    assert not frames.covers(TimeRange(0.1, 0.3))
    assert not frames.covers(TimeRange(None, 0.2))
    with h5py.File(path, "r") as file:
        assert file["frame_index"][-3:].tolist() == [1, 3, 4]
    build_clip_store(videos, tmp_path / "whole.h5", SETTINGS)
    whole = ClipStore(tmp_path / "whole.h5").frames("group/2")
    np.testing.assert_array_equal(frames.read(np.array([0, 1, 2])), whole.read(np.array([1, 3, 4])))


def test_times_that_are_wanted_later_are_added(videos, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    build_clip_store(videos, path, SETTINGS, ranges={"group/2": between(0.1, 0.2)})
    wider = {"group/2": between(0.3, 0.4)}
    assert [row.id for row in remaining_videos(videos, path, SETTINGS, ranges=wider)] == ["group/2"]
    report = build_clip_store(videos, path, SETTINGS, ranges=wider)
    assert (report.num_added, report.num_present) == (1, 2)
    np.testing.assert_allclose(ClipStore(path).frames("group/2").seconds, [0.1, 0.3], atol=1e-6)
    narrower = {"group/2": between(0.3, 0.35)}
    assert build_clip_store(videos, path, SETTINGS, ranges=narrower).num_added == 0


def test_a_range_may_hold_no_frame(videos, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    report = build_clip_store(videos[:2], path, SETTINGS, ranges={"group/0": between(7, 8)})
    assert (report.num_added, report.num_frames, report.failed) == (2, 4, ())
    assert ClipStore(path).frames("group/0").is_empty(TimeRange(7, 8))
    assert build_clip_store(videos, path, SETTINGS, ranges={"group/0": between(7, 8)}).num_added


def test_a_lower_rate(videos, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    build_clip_store(videos, path, replace(SETTINGS, rate=5.0))
    store = ClipStore(path)
    np.testing.assert_allclose(store.frames("group/2").seconds, [0.0, 0.2, 0.4], atol=1e-6)
