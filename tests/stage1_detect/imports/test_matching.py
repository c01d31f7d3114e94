"""Which file of masks belongs to which listed video."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.stage1_detect.imports.matching import Duplicate, find_files, match_files


def files(*ids: str) -> list[tuple[str, Path]]:
    """Each id as a file of its own."""
    return [(each, Path(f"{place}-{each}")) for place, each in enumerate(ids)]


def test_exact_names() -> None:
    found = match_files(files("b", "a", "x"), ["a", "b", "c"])
    assert list(found.matched.items()) == [("a", Path("1-a")), ("b", Path("0-b"))]
    assert found.unmatched == (Path("2-x"),)
    assert found.without == ("c",)
    assert found.ignoring_case == found.duplicates == ()


def test_vlogs_case_trap() -> None:
    found = match_files(files("o/5/E", "o/p/Y"), ["O/5/E", "o/p/Y"])
    assert found.matched == {"O/5/E": Path("0-o/5/E"), "o/p/Y": Path("1-o/p/Y")}
    assert found.ignoring_case == ("O/5/E",)
    assert found.duplicates == ()


def test_two_files_that_differ_in_case_are_duplicates() -> None:
    found = match_files(files("o/5/e", "o/5/E"), ["O/5/E"])
    assert found.matched == {}
    assert found.duplicates == (
        Duplicate(ids=("O/5/E",), files=(Path("0-o/5/e"), Path("1-o/5/E")), is_settled=False),
    )
    assert found.without == ("O/5/E",)


def test_the_exact_file_is_taken_before_another_case() -> None:
    found = match_files(files("a", "A"), ["A"])
    assert found.matched == {"A": Path("1-A")}
    assert found.duplicates == (Duplicate(ids=("A",), files=(Path("0-a"),), is_settled=True),)


def test_two_ids_that_differ_in_case() -> None:
    assert match_files(files("a", "A"), ["A", "a"]).matched == {
        "A": Path("1-A"),
        "a": Path("0-a"),
    }
    assert match_files(files("A"), ["A", "a"]).without == ("a",)
    found = match_files(files("aB"), ["AB", "ab"])
    assert found.matched == {}
    assert found.duplicates[0].ids == ("AB", "ab")
    assert not found.duplicates[0].is_settled
    assert match_files(files("ab", "aB"), ["ab", "AB"]).matched == {
        "ab": Path("0-ab"),
        "AB": Path("1-aB"),
    }


def test_one_name_in_two_folders() -> None:
    found = match_files([("a", Path("x/a")), ("a", Path("y/a"))], ["a"])
    assert found.matched == {}
    assert found.duplicates[0].files == (Path("x/a"), Path("y/a"))


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
