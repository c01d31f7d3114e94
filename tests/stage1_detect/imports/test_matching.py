"""Which file of masks belongs to which listed video."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.stage1_detect.imports.matching import Duplicate, find_files, match_files


def files(*ids: str) -> list[tuple[str, Path]]:
    """Each id as a file of its own."""
    return [(each, Path(f"{place}-{each}")) for place, each in enumerate(ids)]


@pytest.mark.parametrize(
    ("names", "listed", "matched"),
    [
        (["b", "a", "x"], ["a", "b", "c"], {"a": "1-a", "b": "0-b"}),
        (["o/5/E", "o/p/Y"], ["O/5/E", "o/p/Y"], {"O/5/E": "0-o/5/E", "o/p/Y": "1-o/p/Y"}),
        (["a", "A"], ["A", "a"], {"A": "1-A", "a": "0-a"}),
        (["A"], ["A", "a"], {"A": "0-A"}),
        (["ab", "aB"], ["ab", "AB"], {"ab": "0-ab", "AB": "1-aB"}),
    ],
)
def test_files_are_matched_by_name_and_else_whatever_their_case(
    names: list[str], listed: list[str], matched: dict[str, str]
) -> None:
    found = match_files(files(*names), listed)
    assert found.matched == {video_id: Path(file) for video_id, file in matched.items()}
    assert list(found.matched) == [each for each in listed if each in matched]
    assert found.without == tuple(each for each in listed if each not in matched)
    assert found.ignoring_case == tuple(i for i, file in matched.items() if file[2:] != i)
    assert found.duplicates == ()


@pytest.mark.parametrize(
    ("names", "listed", "claimed", "is_settled"),
    [
        (["o/5/e", "o/5/E"], ["O/5/E"], ["0-o/5/e", "1-o/5/E"], False),
        (["a", "A"], ["A"], ["0-a"], True),
        (["aB"], ["AB", "ab"], ["0-aB"], False),
        (["a", "a"], ["a"], ["0-a", "1-a"], False),
    ],
)
def test_files_that_could_be_of_one_video_are_duplicates(
    names: list[str], listed: list[str], claimed: list[str], is_settled: bool
) -> None:
    found = match_files(files(*names), listed)
    paths = tuple(map(Path, claimed))
    assert found.duplicates == (Duplicate(ids=tuple(listed), files=paths, is_settled=is_settled),)
    assert found.matched == ({listed[0]: Path("1-A")} if is_settled else {})


IDS = st.lists(st.sampled_from(["a", "A", "b", "B", "ab", "aB", "Ab"]), max_size=7)


@given(IDS, st.lists(st.sampled_from(["a", "A", "b", "ab", "AB"]), unique=True))
def test_every_file_and_every_id_is_accounted_for(names: list[str], listed: list[str]) -> None:
    given_files = files(*names)
    found = match_files(given_files, listed)
    taken = list(found.matched.values())
    claimed = [path for each in found.duplicates for path in each.files]
    assert sorted([*taken, *claimed, *found.unmatched]) == sorted(path for _, path in given_files)
    assert sorted([*found.matched, *found.without]) == sorted(listed)


@pytest.mark.parametrize(
    ("form", "ids"),
    [("authors", ["P01/P01_01", "a/b", "c"]), ("epic100", ["P01_01", "clip", "c"])],
)
def test_ids_of_files(tmp_path: Path, form, ids: list[str]) -> None:
    for name in ("c.pkl", "a/b/clip.pkl", "P01/P01_01.pkl", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [file_id for file_id, _ in find_files(tmp_path, form)] == ids
