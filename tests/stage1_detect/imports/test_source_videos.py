"""Which video of a source is which listed one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.stage1_detect.imports.authors_vlog import read_authors
from orn.stage1_detect.imports.source_objects import SourceVideo
from orn.stage1_detect.imports.source_videos import match_videos


def videos_named(ids: list[str]) -> list[SourceVideo]:
    """Each id as a video of its own file."""
    return [
        SourceVideo(id=video_id, path=Path(f"{place}-{video_id}"), read=read_authors)
        for place, video_id in enumerate(ids)
    ]


@pytest.mark.parametrize(
    ("names", "listed", "matched", "ambiguous"),
    [
        (["b", "a", "x"], ["a", "b", "c"], {"a": "1-a", "b": "0-b"}, []),
        (["o/5/E", "o/p/Y"], ["O/5/E", "o/p/Y"], {"O/5/E": "0-o/5/E", "o/p/Y": "1-o/p/Y"}, []),
        (["A"], ["A", "a"], {"A": "0-A"}, []),
        (["o/5/e", "o/5/E"], ["O/5/E"], {}, ["O/5/E"]),
        (["a", "A"], ["A"], {"A": "1-A"}, []),
        (["aB"], ["AB", "ab"], {}, ["AB", "ab"]),
        (["x/1", "2.mp4"], ["x/1.MP4", "2"], {"x/1.MP4": "0-x/1", "2": "1-2.mp4"}, []),
        (["1", "1.avi"], ["1.mp4"], {}, ["1.mp4"]),
    ],
)
def test_videos_are_matched_by_name_and_else_whatever_their_case(
    names: list[str], listed: list[str], matched: dict[str, str], ambiguous: list[str]
) -> None:
    result = match_videos(videos_named(names), listed)
    paths = {video_id: str(video.path) for video_id, video in result.matched.items()}
    assert paths == matched
    assert list(result.matched) == [name for name in listed if name in matched]
    stems = {
        own: (Path(path[2:]).with_suffix(""), Path(own).with_suffix(""))
        for own, path in matched.items()
    }
    assert result.ignoring_case == tuple(own for own, (one, other) in stems.items() if one != other)
    assert result.ambiguous == tuple(ambiguous)


IDS = st.lists(st.sampled_from(["a", "A", "b", "B", "ab", "aB", "Ab"]), max_size=7)


@given(IDS, st.lists(st.sampled_from(["a", "A", "b", "ab", "AB"]), unique=True))
def test_every_video_is_accounted_for(names: list[str], listed: list[str]) -> None:
    videos = videos_named(names)
    result = match_videos(videos, listed)
    taken = [*result.matched.values(), *result.unmatched]
    assert sorted(map(str, taken)) == sorted(map(str, videos))
    assert not result.matched.keys() & set(result.ambiguous)
