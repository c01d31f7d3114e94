"""Windows of long videos as clips."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.data_manifests.records import Films, Segment
from orn.shared.errors import JoinError
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.time_ranges import ALL_TIMES, TimeRange
from orn.shared.video.frame import Frame
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.store_format import StoreSettings
from orn.stage2_train.clip_store.unit_file import writing
from orn.stage2_train.clips.clip_draws import ClipRequest
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.windows import (
    drawn_windows,
    end_of_video,
    middle_of,
    num_drawn,
    window_at,
    window_seconds,
    with_windows,
)
from tests.stage2_train.clips.conftest import SETTINGS
from tests.worlds.shards import blocks, write_shard


@pytest.fixture
def films(tiny_world):
    """A data set of two long videos with intervals of two classes."""
    names = [video.id for video in tiny_world.dataset.videos[:2]]
    intervals = tuple(
        Segment(
            id=f"{row}",
            video_id=names[row // 2],
            split="train",
            labels=(row % 2,),
            start_seconds=start,
            stop_seconds=start + 0.6,
        )
        for row, start in enumerate([0.5, 3.0, 2.0, 4.0])
    )
    return replace(
        tiny_world.dataset,
        task="single-label",
        classes=("open", "close", "none"),
        videos=tiny_world.dataset.videos[:2],
        segments=intervals,
        films=Films(background="none", rate=10.0, split_of=dict.fromkeys(names, "train")),
    )


def test_a_window_has_the_label_of_its_middle(films):
    windows = with_windows(films, 8, lambda _: 6.0).segments
    for window in windows:
        own = [s for s in films.segments if s.video_id == window.video_id]
        middle = middle_of(window)
        covering = [s.labels[0] for s in own if s.start_seconds <= middle < s.stop_seconds]
        assert window.labels == (covering[0] if covering else 2,)
    assert len({window.id for window in windows}) == len(windows)


def test_every_described_time_is_the_middle_of_a_window(films):
    windows = with_windows(films, 8, lambda _: 6.0).segments
    middles = [middle_of(w) for w in windows if w.video_id == films.videos[0].id]
    assert middles == pytest.approx(np.arange(60) / 10)


def test_a_window_takes_its_frames_by_time(tmp_path):
    """Of a film whose second half has a tenth of the frames."""
    seconds_F = [*np.arange(0, 2, 0.05).tolist(), *np.arange(2, 5, 0.5).tolist()]
    frames = (
        Frame(index=row, seconds=seconds, image=np.zeros((32, 48, 3), np.uint8))
        for row, seconds in enumerate(seconds_F)
    )
    with writing(tmp_path / "clips/clips-000000.h5", StoreSettings(size=(32, 48))) as writer:
        writer.add(frames, id="film", source_digest="sha256:1", source=(0, 0), times=ALL_TIMES)
    found = [(row, own, blocks(height=32, width=48)) for row, own in enumerate(seconds_F)]
    write_shard(tmp_path / "shard-000000.zarr.zip", {"film": found}, size=(32, 48))
    windows = [window_at("film", middle, 1.0) for middle in (0.5, 1.5, 3.0)]
    windows = [replace(window, labels=(0,)) for window in windows]
    data = (ClipStore(tmp_path / "clips"), DetectionFolder(tmp_path))
    clips = ClipDataset(windows, *data, SETTINGS)
    for row, window in enumerate(windows):
        seconds_T = clips[ClipRequest(row)].seconds
        assert window.start_seconds <= seconds_T.min()
        assert seconds_T.max() < window.stop_seconds


def test_all_windows_of_a_film_are_in_its_split_and_group(films):
    one, other = (video.id for video in films.videos)
    known = {"split_of": {one: "train", other: "test"}, "group_of": {one: "ann", other: "bob"}}
    parted = replace(films, films=replace(films.films, **known))
    windows = with_windows(parted, 8, lambda _: 6.0).segments
    assert {(window.video_id, window.split, window.group) for window in windows} == {
        (one, "train", "ann"),
        (other, "test", "bob"),
    }


def test_an_interval_after_the_end_is_refused_and_one_that_reaches_beyond_is_not(films):
    assert with_windows(films, 8, lambda _: 4.4).segments
    with pytest.raises(JoinError, match=r"4 to 4\.6 s"):
        with_windows(films, 8, lambda _: 4.2)


def test_windows_have_only_observed_middles(films):
    span = TimeRange(1.0, 2.0)
    observed = {films.videos[0].id: (span,)}
    seen = replace(films, films=replace(films.films, observed=observed))
    windows = with_windows(seen, 8, lambda _: 6.0).segments
    assert all(middle_of(w) in span for w in windows if w.video_id == films.videos[0].id)
    assert max(middle_of(w) for w in windows) > 5.0


def test_several_labels_have_no_background(films):
    both = replace(films, task="multi-label", metric="map", classes=("open", "close"))
    both = replace(both, segments=tuple(replace(s, labels=(0, 1)) for s in films.segments))
    labels = {window.labels for window in with_windows(both, 8, lambda _: 6.0).segments}
    assert labels == {(), (0, 1)}


def test_the_duration_of_windows_follows_training_intervals(films):
    assert window_seconds(films, 8) == pytest.approx(1.2)
    assert window_seconds(films, 16) == pytest.approx(1.6)  # sixteen described times
    set_by_user = replace(films.films, window_seconds=3.0)
    assert window_seconds(replace(films, films=set_by_user), 8) == 3.0
    others = tuple(
        replace(s, split="test", stop_seconds=s.stop_seconds + 9) for s in films.segments
    )
    assert window_seconds(replace(films, segments=films.segments + others), 8) == pytest.approx(1.2)


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5), st.integers(0, 5))
def test_a_share_is_drawn_with_no_more_background_than_activities(flags, one_of, seed):
    is_background_N = np.array(flags, np.bool_)
    drawn = drawn_windows(is_background_N, one_of, np.random.default_rng(seed)).tolist()
    assert len(drawn) == len(set(drawn)) == num_drawn(is_background_N, one_of)
    background = sum(flags[row] for row in drawn)
    activities = len(drawn) - background
    assert activities == -(-flags.count(False) // one_of)
    assert background <= (activities or -(-len(flags) // one_of))


def test_intervals_between_two_described_times_are_counted_and_named(films, caplog):
    short = replace(films.segments[0], start_seconds=0.51, stop_seconds=0.52)
    with_windows(replace(films, segments=(*films.segments, short)), 2, lambda video: 10.0)
    assert "1 interval between two described times" in caplog.text
    assert "0.51 to 0.52 s" in caplog.text


def test_a_damaged_last_time_stamp_is_refused():
    with pytest.raises(JoinError, match="'film': expected time stamps up to 259,200 s"):
        end_of_video(np.array([0.0, 0.1, 0.2, 1e9]), "film")
