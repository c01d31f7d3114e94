"""Intervals from and for other programs."""

import csv
import gzip
import json
from pathlib import Path

import pytest

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
        ("boris", "x.boris", boris_project(events=[[1.0, "", "open", "", ""]]), "'open'"),
        ("boris", "x.boris", boris_project(events=[["NaN"]]), "event 1"),
        ("boris", "x.boris", boris_project(file={"1": ["a.mp4", "b.mp4"]}), "one media file"),
        ("boris", "x.boris", boris_project(events=[[1.0, "", "touch", "", ""]]), "start"),
        ("boris-events", "x.csv", "Source,Behavior\n1:a.mp4,open\n", "Start (s)"),
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


def test_an_export_without_its_videos_names_the_folder_to_pass(films, orn, tmp_path):
    words = ("--format", "boris", "--out", tmp_path / "out.boris", "--videos", tmp_path / "absent")
    refused = orn("events", "export", films / "labels.csv", *words, exit_code=2).stderr
    assert "pass the folder where the paths" in refused and not (tmp_path / "out.boris").exists()
