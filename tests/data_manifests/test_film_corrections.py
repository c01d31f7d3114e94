"""Corrected intervals of long videos, applied to a table."""

from pathlib import Path

import pytest

TABLE = """video,start,stop,label,group
one.mp4,1,2,open,a
two.mp4,0,3,open,b
one.mp4,4,4.5,close,a
three.mp4,1,2,close,c
"""
CORRECTED = """"video","start","stop","label"
"one.mp4","1.100","2.000","open"
"one.mp4","6.000","7.000","pour"
"""


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write, orn) -> Path:
    """A folder with a manifest of intervals in three films."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORN_DATA", raising=False)
    write(tmp_path / "films" / "labels.csv", TABLE)
    for name in ("one", "two", "three"):
        write(tmp_path / "films" / f"{name}.mp4")
    options = ("--folds", "2")
    orn("manifest", "new", "films/labels.csv", "--intervals", *options)
    return tmp_path


def test_corrections_replace_the_intervals_of_the_films_they_name(films, write, orn):
    write(films / "one.corrections.csv", CORRECTED)
    orn("manifest", "update", "films/labels.csv", "--corrections", "one.corrections.csv")
    assert (films / "films" / "labels.csv").read_text().splitlines() == [
        "video,start,stop,label,group",
        "one.mp4,1.1,2,open,a",
        "one.mp4,6,7,pour,a",
        "two.mp4,0,3,open,b",
        "three.mp4,1,2,close,c",
    ]
    assert (films / "films" / "classes.txt").read_text().splitlines() == ["close", "open", "pour"]
    assert (films / "films" / "labels.previous.csv").read_text() == TABLE
    again = orn("manifest", "update", "films.toml", "--corrections", "one.corrections.csv")
    assert "written" not in again.stderr


def test_a_film_without_intervals_must_have_been_observed(films, write, orn):
    write(films / "empty.csv", "video,start,stop,label\none.mp4,,,\n")
    asked = ("manifest", "update", "films.toml", "--corrections", "empty.csv")
    refused = orn(*asked, exit_code=1).stderr
    assert "one.mp4" in refused and "observed.csv" in refused
    assert (films / "films" / "labels.csv").read_text() == TABLE
    write(films / "films" / "observed.csv", "video,start,stop\none.mp4,,\n")
    manifest = (films / "films.toml").read_text().replace("# observed", "observed")
    write(films / "films.toml", manifest)
    orn(*asked)
    assert "one.mp4" not in (films / "films" / "labels.csv").read_text()
    orn("manifest", "check", "films.toml")


@pytest.mark.parametrize("row", ["one.mp4,1,,open", "one.mp4,1,2,", "one.mp4,2,1,open"])
def test_an_incomplete_correction_is_refused(films, write, orn, row):
    write(films / "bad.csv", f"video,start,stop,label\n{row}\n")
    asked = ("manifest", "update", "films.toml", "--corrections", "bad.csv")
    assert len(orn(*asked, exit_code=1).stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("typed", "listed"),
    [
        ("films/one.mp4", "one.mp4"),
        ("../elsewhere/films/one.mp4", "one.mp4"),
        ("/disk/films/One.avi", "one.mp4"),
        ("films/more/new.mp4", "more/new.mp4"),
        ("more/new.mp4", "more/new.mp4"),
    ],
)
def test_corrected_films_are_found_by_the_end_of_their_path(films, write, orn, typed, listed):
    write(films / "films" / "more" / "new.mp4")
    write(films / "own.csv", f"video,start,stop,label\n{typed},7,8,open\n")
    orn("manifest", "update", "films.toml", "--corrections", "own.csv")
    rows = (films / "films" / "labels.csv").read_text().splitlines()
    assert [row for row in rows if row.split(",")[0] == listed] == [
        f"{listed},7,8,open,{'a' if listed == 'one.mp4' else ''}"
    ]
    assert len(rows) == (4 if listed == "one.mp4" else 6)


@pytest.mark.parametrize(
    ("names", "typed"),
    [(("a/cam", "b/cam"), "cam.mp4"), (("one", "two"), "absent.mp4"), (("one", "two"), "..")],
)
def test_corrections_of_a_film_without_one_place_are_refused(films, write, orn, names, typed):
    rows = "".join(f"{name}.mp4,1,2,open\n" for name in names)
    write(films / "films" / "labels.csv", f"video,start,stop,label\n{rows}")
    write(films / "own.csv", f"video,start,stop,label\n{typed},7,8,open\n")
    refused = orn("manifest", "update", "films.toml", "--corrections", "own.csv", exit_code=1)
    assert repr(typed) in refused.stderr and len(refused.stderr.strip().splitlines()) == 1


NOTED = """id,video,start,stop,label,note,group
first,one.mp4,1,2,open,"a, b",x
second,one.mp4,4,4.5,close,,x
third,two.mp4,0,3,open,two,y
fourth,three.mp4,1,2,close,,z
"""


@pytest.fixture
def noted(films: Path, write, orn) -> Path:
    """A folder with a table of intervals that has ids and notes."""
    write(films / "films" / "labels.csv", NOTED)
    orn("manifest", "new", "films/labels.csv", "--intervals", "--fresh", "--folds", "2")
    return films


def test_other_columns_stay_with_their_rows(noted, write, orn):
    """Moved, relabeled and unchanged rows keep their cells, a new one has none of another's."""
    write(
        noted / "own.csv",
        "video,start,stop,label\n"
        "one.mp4,1.2004,2.5,open\none.mp4,4.0001,4.5,open\none.mp4,8,9,close\n",
    )
    orn("manifest", "update", "films.toml", "--corrections", "own.csv")
    assert (noted / "films" / "labels.csv").read_text().splitlines() == [
        "id,video,start,stop,label,note,group",
        'first,one.mp4,1.2004,2.5,open,"a, b",x',
        "second,one.mp4,4,4.5,open,,x",
        ",one.mp4,8,9,close,,x",
        "third,two.mp4,0,3,open,two,y",
        "fourth,three.mp4,1,2,close,,z",
    ]
    orn("manifest", "check", "films.toml")


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ("one.mp4,1,3,open\none.mp4,2,4,close", "overlap"),
        ("one.mp4,1,3,open\none.mp4,1,3,open", "unique ids"),
        ("one.mp4,1,3,none", "the background"),
        ("one.mp4,1,1e300,open", "row 2"),
        ("new.mp4,1,2,open", "column split"),
    ],
)
def test_a_correction_that_nothing_could_read_changes_nothing(films, write, orn, rows, named):
    folder = films / "films"
    if "new.mp4" in rows:
        lines = TABLE.splitlines()
        table = [
            f"{line},{own}" for line, own in zip(lines, ["split", *["train"] * 4], strict=True)
        ]
        write(folder / "labels.csv", "\n".join(table) + "\n")
        orn("manifest", "new", "films/labels.csv", "--intervals", "--fresh")
        write(folder / "new.mp4")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    write(films / "own.csv", f"video,start,stop,label\n{rows}\n")
    refused = orn("manifest", "update", "films.toml", "--corrections", "own.csv", exit_code=1)
    assert named in refused.stderr and len(refused.stderr.strip().splitlines()) == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_the_earlier_list_of_classes_is_kept_too(films, write, orn):
    write(films / "own.csv", CORRECTED)
    written = orn("manifest", "update", "films.toml", "--corrections", "own.csv").stderr
    assert (films / "films" / "classes.previous.txt").read_text().splitlines() == ["close", "open"]
    assert "classes.previous.txt" in written
