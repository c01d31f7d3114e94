"""Ranges of time that a label table covers: widened, joined, cut into units, recognised again."""

import dataclasses
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import ConfigError
from orn.shared.manifests.records import Segment
from orn.shared.shards.plan import Plan, Unit
from orn.shared.time_ranges import TimeRange
from orn.shared.video.read import FrameEstimate
from orn.stage1_detect.labelled import check_segments, labelled_ranges, pack_ranges, range_frames
from tests.worlds.shards import FakeDetector

Limits = tuple[float | None, float | None]


def segment(start: float | None, stop: float | None, video: str = "v") -> Segment:
    return Segment(
        id=f"{start}-{stop}", video_id=video, split="train", start_seconds=start, stop_seconds=stop
    )


def limits(ranges: tuple[TimeRange, ...]) -> list[Limits]:
    return [(each.start_seconds, each.stop_seconds) for each in ranges]


@pytest.mark.parametrize(
    ("segments", "wanted"),
    [
        ([(1.0, 2.0)], [(0.9, 2.1)]),
        ([(5.0, 6.0), (1.0, 2.0)], [(0.9, 2.1), (4.9, 6.1)]),
        ([(1.0, 2.0), (1.5, 3.0), (3.2, 4.0)], [(0.9, 4.1)]),  # both margins close the gap
        ([(1.0, 9.0), (2.0, 3.0)], [(0.9, 9.1)]),
        ([(0.05, 2.0)], [(None, 2.1)]),
        ([(None, 2.0), (4.0, None)], [(None, 2.1), (3.9, None)]),
        ([(None, None)], [(None, None)]),
        ([(1.23456, 2.34567)], [(1.134, 2.446)]),  # to milliseconds, outwards
    ],
)
def test_ranges_at_ten_frames_a_second(segments: list[Limits], wanted: list[Limits]) -> None:
    assert limits(labelled_ranges([segment(*each) for each in segments], rate=10.0)) == wanted


TEN_A_SECOND = FrameEstimate(frames=200, rate=10.0)


def drawn(units: tuple[Unit, ...]) -> list[str]:
    return [
        " ".join(
            part.video_id
            + "".join(f"[{each.start_seconds}:{each.stop_seconds}]" for each in part.ranges)
            for part in unit.parts
        )
        for unit in units
    ]


def test_packing() -> None:
    ranges = {
        "a": (TimeRange(start_seconds=1.0, stop_seconds=2.0),),
        "b": (
            TimeRange(start_seconds=None, stop_seconds=0.5),
            TimeRange(start_seconds=3.0, stop_seconds=8.5),
        ),
        "c": (TimeRange(start_seconds=None, stop_seconds=None),),
        "d": (TimeRange(start_seconds=18.5, stop_seconds=None),),
    }
    estimates = {
        "a": TEN_A_SECOND,
        "b": TEN_A_SECOND,
        "c": FrameEstimate(frames=3, rate=10.0),
        "d": TEN_A_SECOND,
    }
    assert drawn(pack_ranges(ranges, estimates, 20)) == [
        "a[1.0:2.0] b[None:0.5]",
        "b[3.0:5.0]",
        "b[5.0:7.0]",
        "b[7.0:8.5] c",
        "d[18.5:None]",
    ]
    assert [unit.index for unit in pack_ranges(ranges, estimates, 20)] == [0, 1, 2, 3, 4]


times = st.floats(0, 19, allow_nan=False)
segment_lists = st.lists(
    st.tuples(times, st.floats(0.01, 8)).map(lambda pair: segment(pair[0], pair[0] + pair[1])),
    min_size=1,
    max_size=8,
)


@given(segment_lists, st.integers(1, 60))
def test_every_frame_of_a_segment_is_in_one_piece(
    segments: list[Segment], unit_frames: int
) -> None:
    ranges = labelled_ranges(segments, rate=10.0)
    units = pack_ranges({"v": ranges}, {"v": TEN_A_SECOND}, unit_frames)
    pieces = [piece for unit in units for part in unit.parts for piece in part.ranges]
    assert limits(tuple(pieces)) == sorted(limits(tuple(pieces)), key=lambda pair: pair[0] or 0.0)
    for before, after in itertools.pairwise(pieces):
        assert before.stop_seconds is not None and after.start_seconds is not None
        assert before.stop_seconds <= after.start_seconds
    for tenth in range(200):
        seconds = tenth / 10
        inside = sum((p.start_seconds or 0.0) <= seconds < (p.stop_seconds or 99.0) for p in pieces)
        labelled = any(s.start_seconds <= seconds < s.stop_seconds for s in segments)  # type: ignore[operator]
        assert inside == 1 or (inside == 0 and not labelled)
    for unit in units:
        frames = sum(range_frames(r, TEN_A_SECOND) for part in unit.parts for r in part.ranges)
        assert frames <= max(unit_frames, 1) + 1e-6


@given(segment_lists, st.integers(1, 60))
def test_a_plan_has_its_own_segments_and_no_longer_ones(
    segments: list[Segment], unit_frames: int
) -> None:
    ranges = labelled_ranges(segments, rate=10.0)
    plan = Plan(
        dataset="d",
        frames="labelled",
        detector=FakeDetector().entry,
        units=pack_ranges({"v": ranges}, {"v": TEN_A_SECOND}, unit_frames),
    )
    folder = Path("shards")
    check_segments(plan, [*segments, segment(0, 99, video="other")], folder)
    check_segments(dataclasses.replace(plan, frames="all"), [segment(0, 99)], folder)
    with pytest.raises(ConfigError, match=r"plan\.json: .* segment '0-99' of video 'v' .*--fresh"):
        check_segments(plan, [segment(0, 99)], folder)


@pytest.mark.parametrize("rate", [10.0, 1e9])
@pytest.mark.parametrize("stop", [1e9, 1e300])
def test_a_segment_that_stops_far_beyond_the_video_is_planned_by_what_is_there(
    rate: float, stop: float
) -> None:
    estimate = FrameEstimate(frames=200, rate=rate)
    limits = TimeRange(start_seconds=0.1 / rate, stop_seconds=stop)
    units = pack_ranges({"v": (limits,)}, {"v": estimate}, 20)
    pieces = [piece for unit in units for part in unit.parts for piece in part.ranges]
    assert len(pieces) <= 40
    assert (pieces[0].start_seconds, pieces[-1].stop_seconds) == (0.1 / rate, stop)
    assert range_frames(limits, estimate) <= 1000
    assert range_frames(TimeRange(stop / 2, stop), estimate) == 0


def test_a_folder_that_lacks_most_numbers_is_as_long_as_its_last_one() -> None:
    sparse = FrameEstimate(frames=40, rate=10.0, duration_seconds=1000.0)
    limits = TimeRange(start_seconds=800.0, stop_seconds=900.0)
    assert range_frames(limits, sparse) == 1000
    pieces = pack_ranges({"v": (limits,)}, {"v": sparse}, 20)
    assert len(pieces) == 6
    vast = FrameEstimate(frames=1, rate=10.0, duration_seconds=1e12)
    assert len(pack_ranges({"v": (TimeRange(0.5, 1e9),)}, {"v": vast}, 20)) == 2
