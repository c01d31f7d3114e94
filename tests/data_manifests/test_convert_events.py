"""Intervals from and for other programs."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from orn.data_manifests.boris_project import read_project
from tests.bounded import refusals
from tests.worlds.videos import write_gray

TABLE = """video,start,stop,label
one.mp4,0.1,0.5,open
one.mp4,0.5,0.9,open
one.mp4,1.2,1.5,close
two.mp4,0,0.4,close
"""


@pytest.fixture
def films(tmp_path: Path, write) -> Path:
    """A folder with a table of intervals and its two videos of two seconds."""
    write(tmp_path / "labels.csv", TABLE)
    for name in ("one", "two"):
        write_gray(tmp_path / f"{name}.mp4", 20)
    return tmp_path


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(newline="") as file:
        return [*csv.DictReader(file)]


def there_and_back(orn, films: Path, form: str, *options: object) -> list[tuple]:
    """The intervals after an export and an import."""
    there, back = films / f"there.{form}", films / "back.csv"
    words = (films / "labels.csv", "--format", form, "--out", there, "--videos", films)
    orn("events", "export", *words)
    orn("events", "import", there, "--format", form, "--out", back, *options)
    return intervals(back)


def intervals(path: Path) -> list[tuple]:
    """Video, start, stop and label of each row."""
    return [
        (row["video"], float(row["start"]), float(row["stop"]), row["label"]) for row in rows(path)
    ]


@pytest.mark.parametrize("form", ["boris", "boris-events"])
def test_intervals_return_from_boris_as_they_were(orn, films, form):
    assert there_and_back(orn, films, form) == intervals(films / "labels.csv")


def test_intervals_return_from_feral_by_frames(orn, films):
    got = there_and_back(orn, films, "feral", "--rate", "10")
    assert got == [  # intervals of one label that touch are one run of frames
        ("one.mp4", 0.1, 0.9, "open"),
        ("one.mp4", 1.2, 1.5, "close"),
        ("two.mp4", 0.0, 0.4, "close"),
    ]
    labels = json.loads((films / "there.feral").read_text())["labels"]
    assert [len(labels[name]) for name in ("one.mp4", "two.mp4")] == [20, 20]


def boris_project(**observation: object) -> str:
    """A project of BORIS 8 with one observation."""
    behaviors = {
        "0": {"type": "State event", "key": "o", "code": "open", "category": "", "modifiers": ""},
        "1": {"type": "Point event", "key": "t", "code": "touch", "category": "", "modifiers": ""},
    }
    usual = {
        "file": {"1": ["C:\\films\\one.mp4"], "2": []},
        "type": "MEDIA",
        "time offset": 10.0,
        "events": [
            [11.0, "mouse", "open", "", "", 10],
            [11.5, "rat", "open", "", "", 15],
            [12.0, "mouse", "open", "", "", 20],
            [12.5, "", "touch", "left", "", 25],
            [13.0, "rat", "open", "", "", 30],
        ],
    }
    observations = {"first": usual | observation}
    return json.dumps({"behaviors_conf": behaviors, "observations": observations})


def test_states_of_boris_are_paired_by_subject_and_points_stay_points(orn, tmp_path):
    path = tmp_path / "project.boris.gz"
    path.write_bytes(gzip.compress(boris_project().encode()))
    orn("events", "import", path, "--format", "boris", "--out", tmp_path / "labels.csv")
    assert [tuple(row.values()) for row in rows(tmp_path / "labels.csv")] == [
        ("one.mp4", "1.000", "2.000", "open"),
        ("one.mp4", "1.500", "3.000", "open"),
        ("one.mp4", "2.500", "2.500", "touch"),
    ]


@pytest.mark.parametrize(
    ("form", "name", "text", "expected"),
    [
        (
            *("deepethogram", "one_labels.csv"),
            "background,rear,lick\n1,0,0\n0,1,0\n0,1,1\n0,-1,-1\n",
            [("one", 0.5, 1.5, "rear"), ("one", 1.0, 1.5, "lick")],
        ),
        (
            *("frames", "S1_Cheese.txt"),
            "background\ntake\ntake\nopen\nbackground\n",
            [("S1_Cheese", 0.5, 1.5, "take"), ("S1_Cheese", 1.5, 2.0, "open")],
        ),
    ],
)
def test_labels_of_frames_become_intervals(orn, write, tmp_path, form, name, text, expected):
    source, out = write(tmp_path / name, text), tmp_path / "labels.csv"
    orn("events", "import", source, "--format", form, "--rate", "2", "--out", out)
    assert intervals(out) == expected


@pytest.mark.parametrize(
    ("form", "name", "text", "named"),
    [
        ("boris", "x.boris", "{", "x.boris"),
        ("boris", "x.boris", "[]", "BORIS"),
        ("boris", "x.boris", boris_project(events=[[11.0, "", "gone", "", ""]]), "'gone'"),
        ("boris-events", "x.csv", "Source,Behavior\n1:a.mp4,open\n", "Observations > Export"),
        ("boris-events", "x.csv", 'Observation id,"a\nb', "invalid CSV"),
        ("deepethogram", "x.csv", "background,rear\n1,0\n1\n", "row 3: expected 2 cells"),
        ("feral", "x.json", '{"class_names": {"0": "other"}, "labels": {"a": [1]}}', "classes"),
        ("deepethogram", "x.csv", "rear\n2\n", "row 2"),
        ("frames", "absent.txt", None, "absent.txt"),
    ],
)
def test_an_invalid_source_is_refused_in_one_line(orn, write, tmp_path, form, name, text, named):
    path = tmp_path / name
    if text is not None:
        write(path, text)
    rate = ("--rate", "10") if form in ("feral", "deepethogram", "frames") else ()
    out = tmp_path / "labels.csv"
    refused = orn("events", "import", path, "--format", form, "--out", out, *rate, exit_code=1)
    assert len(refused.stderr.strip().splitlines()) == 1 and named in refused.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("observation", "named"),
    [
        ({"events": [[11.0, "", "open", "", ""]]}, "'open'"),
        ({"events": [["NaN"]]}, "event 1"),
        ({"events": [[int("9" * 400), "", "touch", "", ""]]}, "event 1"),
        ({"file": {"1": ["a.mp4", "b.mp4"]}}, "length of 'a.mp4'"),
        ({"events": [[1.0, "", "touch", "", ""]]}, "from 0 s"),
        ({"file": [], "type": "LIVE"}, "live"),
        ({"file": {}, "type": "IMAGES"}, "pictures"),
    ],
)
def test_a_project_without_a_usable_observation_says_why(orn, write, tmp_path, observation, named):
    path = write(tmp_path / "x.boris", boris_project(**observation))
    out = tmp_path / "labels.csv"
    refused = orn("events", "import", path, "--format", "boris", "--out", out, exit_code=2)
    assert "observation 'first'" in refused.stderr and named in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1 and not out.exists()


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:20] + b"x" * 30])
def test_a_damaged_archive_is_refused_in_one_line(orn, tmp_path, damage):
    path = tmp_path / "x.boris.gz"
    path.write_bytes(damage(gzip.compress(boris_project().encode())))
    words = ("events", "import", path, "--format", "boris", "--out", tmp_path / "labels.csv")
    assert len(orn(*words, exit_code=1).stderr.strip().splitlines()) == 1


def test_what_an_archive_unpacks_to_is_bounded(tmp_path):
    path = tmp_path / "x.boris.gz"
    path.write_bytes(gzip.compress(b'{"behaviors_conf":{},"observations":{}}' + b" " * 2**27))
    many = tmp_path / "many.boris.gz"
    many.write_bytes(gzip.compress(b"[" + b"[]," * 2**24 + b"[]]"))
    large, full = refusals(read_project, [path, many])
    assert "64 MiB" in large and "values" in full


def test_frames_that_were_not_labeled_are_not_watched(orn, write, tmp_path):
    source = write(tmp_path / "one_labels.csv", "background,rear\n1,0\n0,1\n-1,-1\n0,1\n")
    out = tmp_path / "labels.csv"
    orn("events", "import", source, "--format", "deepethogram", "--rate", "2", "--out", out)
    assert intervals(out) == [("one", 0.5, 1.0, "rear"), ("one", 1.5, 2.0, "rear")]
    observed = [tuple(row.values()) for row in rows(tmp_path / "observed.csv")]
    assert observed == [("one", "0.000", "1.000"), ("one", "1.500", "2.000")]


def test_class_0_of_feral_is_an_event_unless_it_is_called_background(orn, write, tmp_path):
    for name, expected in (("other", 1), ("walk", 2)):
        names = {"0": name, "1": "run"}
        text = json.dumps({"class_names": names, "labels": {"a.mp4": [0, 0, 1]}})
        source, out = write(tmp_path / "labels.json", text), tmp_path / f"{name}.csv"
        orn("events", "import", source, "--format", "feral", "--rate", "1", "--out", out)
        assert len(intervals(out)) == expected


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf"])
def test_a_rate_that_is_no_rate_is_refused(orn, write, tmp_path, rate):
    source = write(tmp_path / "one.txt", "open\n")
    words = ("--format", "frames", "--rate", rate, "--out", tmp_path / "labels.csv")
    assert "--rate" in orn("events", "import", source, *words, exit_code=2).stderr


def test_an_existing_table_is_replaced_only_on_request_and_kept(orn, write, films):
    source, out = write(films / "one.txt", "open\n"), films / "labels.csv"
    words = ("events", "import", source, "--format", "frames", "--rate", "1", "--out", out)
    assert "--replace" in orn(*words, exit_code=2).stderr and out.read_text() == TABLE
    record = json.loads(orn(*words, "--replace", "--json").stdout)
    assert (films / "labels.previous.csv").read_text() == TABLE
    assert record["copies"] == [str(films / "labels.previous.csv")]


@pytest.mark.parametrize(
    ("table", "form", "named"),
    [
        ("one.mp4,0.5,0.1,open", "boris-events", "row 2"),
        ("one.mp4,0.1,0.9,open\none.mp4,0.3,0.5,open", "boris", "rows 2 and 3"),
        ("one.mp4,0.1,0.9,open\none.mp4,0.3,0.5,open", "feral", "rows 2 and 3"),
    ],
)
def test_intervals_that_a_format_cannot_hold_are_refused_by_row(
    orn, write, films, table, form, named
):
    write(films / "labels.csv", f"video,start,stop,label\n{table}\n")
    words = (films / "labels.csv", "--format", form, "--out", films / "out", "--videos", films)
    assert named in orn("events", "export", *words, exit_code=1).stderr
    assert not (films / "out").exists()


def test_nested_intervals_return_from_aggregated_events(orn, write, films):
    write(
        films / "labels.csv",
        "video,start,stop,label\none.mp4,0.1,0.9,open\none.mp4,0.3,0.5,open\n",
    )
    assert there_and_back(orn, films, "boris-events") == intervals(films / "labels.csv")


def test_an_export_without_its_videos_names_the_folder_to_pass(films, orn, tmp_path):
    words = ("--format", "boris", "--out", tmp_path / "out.boris", "--videos", tmp_path / "absent")
    refused = orn("events", "export", films / "labels.csv", *words, exit_code=2).stderr
    assert "pass the folder where the paths" in refused and not (tmp_path / "out.boris").exists()
