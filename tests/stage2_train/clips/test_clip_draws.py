"""Which frames make a clip."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orn.stage2_train.clips.clip_draws import (
    ClipDraws,
    ClipRequest,
    authors_frames,
    center_frames,
    clip_generator,
    random_frames,
)
from tests.reference.authors_clips import authors_clip
from tests.stage2_train.clips.conftest import SETTINGS, whole_video


@given(num_frames=st.integers(1, 60), num_parts=st.integers(1, 12), seed=st.integers(0, 99))
def test_each_part_gives_one_frame(num_frames, num_parts, seed) -> None:
    drawn = random_frames(num_frames, num_parts, np.random.default_rng(seed))
    assert len(drawn) == num_parts
    assert (np.diff(drawn) >= 0).all()
    if num_frames < num_parts:
        assert drawn.tolist() == center_frames(num_frames, num_parts).tolist()
        assert set(drawn.tolist()) == set(range(num_frames))
        return
    for part, frame in enumerate(drawn.tolist()):
        assert part * num_frames // num_parts <= frame < (part + 1) * num_frames // num_parts


@given(num_frames=st.integers(1, 400), num_parts=st.integers(1, 40))
def test_centers_lie_in_the_middle_of_equal_parts(num_frames, num_parts) -> None:
    """Against the definition in exact numbers: part i is [i F / L, (i + 1) F / L), rounded down."""
    centers = center_frames(num_frames, num_parts).tolist()
    assert len(centers) == num_parts
    assert centers == sorted(centers)
    if num_frames < num_parts:
        assert set(centers) == set(range(num_frames))
        repeats = np.bincount(centers)
        assert repeats.max() - repeats.min() <= 1
        return
    for part, center in enumerate(centers):
        first = part * num_frames // num_parts
        end = (part + 1) * num_frames // num_parts
        assert end - first in (num_frames // num_parts, num_frames // num_parts + 1)
        before, after = center - first, end - 1 - center
        assert before in (after, after - 1)


def test_every_frame_of_a_part_is_drawn_equally_often() -> None:
    generator = np.random.default_rng(0)
    drawn_NL = np.array([random_frames(10, 4, generator) for _ in range(4000)])
    for part, frames in enumerate([(0, 1), (2, 3, 4), (5, 6), (7, 8, 9)]):
        counts = np.bincount(drawn_NL[:, part], minlength=10)
        expected = 4000 / len(frames)
        assert counts.sum() == counts[list(frames)].sum()
        # Seven standard deviations of a binomial count: never by chance, and the seed is fixed.
        assert np.abs(counts[list(frames)] - expected).max() < 7 * (expected / 2) ** 0.5


def test_test_clips_depend_on_segment_and_number_alone() -> None:
    def draws(name: str, clip: int) -> list[int]:
        return clip_generator(name, clip).integers(1000, size=4).tolist()

    assert draws("a", 1) == draws("a", 1)
    assert len({tuple(draws(name, clip)) for name in "ab" for clip in (1, 2)}) == 4
    assert draws("P01_01_0", 1) == [319, 315, 683, 320]


@given(
    num_frames=st.integers(1, 900),
    rate=st.sampled_from([5.0, 12.0, 23.976, 30.0, 59.94]),
    num_parts=st.integers(1, 12),
    is_centered=st.booleans(),
    seed=st.integers(0, 99),
)
def test_clips_as_the_authors_draw_them(num_frames, rate, num_parts, is_centered, seed) -> None:
    seconds_F = 7 + np.arange(num_frames) / rate
    drawn, draws = (np.random.default_rng(seed) for _ in range(2))
    frames = authors_frames(seconds_F, num_parts, drawn, is_centered=is_centered)
    expected = authors_clip(
        num_frames,
        num_parts,
        unused=round(rate * 2 / 30),
        longest=round(rate * 3),
        draw=lambda number: int(draws.integers(number)),
        is_centered=is_centered,
    )
    assert frames.tolist() == expected
    assert 0 <= frames.min() <= frames.max() < num_frames


def test_clips_of_the_authors_start_anywhere_even_in_evaluation() -> None:
    seconds_F, settings = np.arange(300) / 30, replace(SETTINGS, as_authors=True)
    frames = ClipDraws(ClipRequest(0), whole_video("film"), settings).frames(seconds_F)
    expected = authors_frames(seconds_F, 4, clip_generator("film", 0), is_centered=True)
    assert frames.tolist() == expected.tolist() != center_frames(300, 4).tolist()
