"""Projects and tables of BORIS as its versions write them: drawn at random in its published format,
and what they give compared event by event with what was drawn; and its own test files."""

import csv
import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

BORIS = Path("events/boris")
BEHAVIORS = {"walk": "State event", "rest": "State event with coding map", "call": "Point event"}
Drawn = tuple[str, float, float, str]


def drawn_events(draw: random.Random, seconds: float, offset: float) -> list[list[Any]]:
    """Rows of a project in a film of this length: pairs for states, in order of time."""
    rows: list[list[Any]] = []
    for subject in ("", "mouse", "rat"):
        for code, kind in BEHAVIORS.items():
            times = sorted(round(draw.uniform(0, seconds - 0.01), 3) for _ in range(4))
            if len({*times}) == 4 or kind == "Point event":
                rows += [[round(own + offset, 3), subject, code, "", ""] for own in times]
    return sorted(rows, key=lambda row: row[0])


def expected_of(
    rows: Sequence[Sequence[Any]], lengths: dict[str, float], offset: float
) -> set[Drawn]:
    """The intervals of a project's rows by a slow loop: pairs in order, cut where a film ends."""
    events = []
    for subject in ("", "mouse", "rat"):
        for code, kind in BEHAVIORS.items():
            own = [row[0] - offset for row in rows if row[1] == subject and row[2] == code]
            step = 1 if kind == "Point event" else 2
            events += [(own[at], own[at + step - 1], code) for at in range(0, len(own), step)]
    found, first = set(), 0.0
    for number, (medium, length) in enumerate(lengths.items(), start=1):
        end = float("inf") if number == len(lengths) else first + length
        for start, stop, code in events:
            begins, ends = max(start, first), min(stop, end)
            if begins < ends or (start == stop and first <= start < end):
                times = (round(begins - first, 3), round(ends - first, 3))
                found.add((medium, *times, code))
        first = end
    return found


def project(observations: dict[str, Any]) -> str:
    """A project with these observations and an ethogram."""
    numbered = enumerate(BEHAVIORS.items())
    conf = {str(number): {"type": kind, "code": code} for number, (code, kind) in numbered}
    return json.dumps({"behaviors_conf": conf, "observations": observations})


def intervals(path: Path) -> set[Drawn]:
    """The rows of a table."""
    with path.open(newline="") as file:
        rows = [*csv.DictReader(file)]
    return {(row["video"], float(row["start"]), float(row["stop"]), row["label"]) for row in rows}


@pytest.mark.parametrize("seed", range(20))
def test_a_drawn_project_gives_the_events_that_were_drawn(orn, tmp_path, seed):
    draw = random.Random(seed)
    expected: set[Drawn] = set()
    observations: dict[str, Any] = {}
    for number in range(draw.randrange(1, 4)):
        media = {f"{number}-{name}.mp4": round(draw.uniform(20, 60), 2) for name in "abc"}
        media = dict([*media.items()][: draw.randrange(1, 4)])
        offset = draw.choice([0.0, 100.0])
        rows = drawn_events(draw, sum(media.values()), offset)
        expected |= expected_of(rows, media, offset)
        own: dict[str, Any] = {"file": {"1": [*media]}, "events": rows, "time offset": offset}
        if len(media) > 1 or draw.random() < 0.5:
            own["media_info"] = {"length": media}
        if draw.random() < 0.5:
            own |= {"type": "MEDIA", "file": {"1": [*media], "2": ["side.mp4"]}}
        observations[f"film {number}"] = own
    observations["live"] = {"file": [], "type": "LIVE", "events": rows}
    observations["old live"] = {"file": {}, "media_info": None, "events": rows}
    pictures = {"directories_list": ["pics"], "file": [], "type": "IMAGES"}
    observations["pictures"] = pictures | {"events": [["NA", "", "walk", "", "", 1, "1.png"]]}
    path = tmp_path / "study.boris.gz"
    path.write_bytes(gzip.compress(project(observations).encode()))
    out = tmp_path / "labels.csv"
    record = json.loads(
        orn("events", "import", path, "--format", "boris", "--out", out, "--json").stdout
    )
    assert intervals(out) == {(video, start, stop, label) for video, start, stop, label in expected}
    left_out = " ".join(record["left_out"])
    assert all(f"'{name}'" in left_out for name in ("live", "old live", "pictures"))
    assert record["events"] == len(expected)


def test_films_of_one_name_in_two_folders_stay_two(orn, tmp_path):
    files = ("/data/a/f.mp4", "/data/b/f.mp4")
    observations = {
        name: {"file": {"1": [name]}, "events": [[1.0, "", "call", "", ""]]} for name in files
    }
    path = tmp_path / "x.boris"
    path.write_text(project(observations))
    orn("events", "import", path, "--format", "boris", "--out", tmp_path / "labels.csv")
    assert {row[0] for row in intervals(tmp_path / "labels.csv")} == {"a/f.mp4", "b/f.mp4"}


def test_two_behaviors_at_one_time_are_two_intervals_of_the_data_set(orn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    events = [[1.0, "", "call", "", ""], [1.0, "", "walk", "", ""], [1.0, "", "walk", "", ""]]
    path = tmp_path / "x.boris"
    path.write_text(project({"one": {"file": {"1": ["f.mp4"]}, "events": events}}))
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "f.mp4").touch()
    table = Path("films/labels.csv")
    orn("events", "import", path, "--format", "boris", "--out", table)
    orn("manifest", "new", table, "--intervals")
    checked = orn("manifest", "check", "films.toml", "--json", exit_code=None)
    assert json.loads(checked.stdout)["intervals"] == 2


NEW_HEADER = (
    "Observation id,Observation date,Description,Observation duration,Observation type,Source,"
    "Time offset (s),Media duration (s),FPS,Subject,Behavior,Behavioral category,Behavior type,"
    "Time,Media file name,Image index,Image file path,Comment"
)


def new_row(subject: str, code: str, kind: str, seconds: float, medium: str) -> str:
    """A row of BORIS 8's tabular export of an observation of two players."""
    source, lengths = "player #1:a.mp4;b.mp4|player #2:side.mp4", "10.000;20.000|30.000"
    about = f"one,2026-01-01 10:00:00,,30.0,Media file(s),{source},0.0,{lengths},25.000;25.000"
    return f"{about},{subject},{code},,{kind},{seconds:.3f},{medium},1,NA,"


def test_the_newer_tabular_export_splits_media_files(orn, tmp_path):
    lines = [
        NEW_HEADER,
        new_row("rat", "walk", "START", 8, "a.mp4"),
        new_row("mouse", "walk", "START", 9, "a.mp4"),
        new_row("rat", "walk", "STOP", 12, "b.mp4"),
        new_row("", "call", "POINT", 13.5, "b.mp4"),
        new_row("mouse", "walk", "STOP", 9.5, "a.mp4"),
    ]
    path = tmp_path / "events.csv"
    path.write_text("\n".join(lines) + "\n")
    orn("events", "import", path, "--format", "boris-events", "--out", tmp_path / "labels.csv")
    assert intervals(tmp_path / "labels.csv") == {
        *(("a.mp4", 8.0, 10.0, "walk"), ("b.mp4", 0.0, 2.0, "walk")),
        *(("a.mp4", 9.0, 9.5, "walk"), ("b.mp4", 3.5, 3.5, "call")),
    }


@pytest.mark.real_data
def test_the_files_of_boris_own_tests_are_read(orn, tmp_path, sample_data):
    folder, out = sample_data / BORIS, tmp_path / "labels.csv"

    def imported(name: str, form: str, exit_code: int = 0) -> Any:
        words = ("--format", form, "--out", out, "--replace", "--json")
        return orn("events", "import", folder / name, *words, exit_code=exit_code)

    record = json.loads(imported("test.boris", "boris").stdout)
    assert (record["events"], record["videos"], len(record["left_out"])) == (34, 3, 9)
    second = {row for row in intervals(out) if row[0] == "video_test_25fps_360s.mp4"}
    assert ("video_test_25fps_360s.mp4", 47.805, 73.53, "s") in second  # 227.765 - 179.96
    refused = imported("test_with_leading_trailing_spaces_in_modifiers.boris", "boris", 2).stderr
    assert "'test1 live'" in refused
    for ending in ("csv", "tsv"):
        imported(f"test_export_events_tabular.{ending}", "boris-events")
        assert len(intervals(out)) == 4
    assert (
        json.loads(imported("ecber_aggregated_6008BECNR.csv", "boris-events").stdout)["events"]
        == 266
    )
    refused = imported("test_export_aggregated_events_test_full_1.tsv", "boris-events", 2).stderr
    assert "2 media files" in refused and "import the project" in refused
    refused = imported("test_export_aggregated_events_test_full_3.tsv", "boris-events", 1).stderr
    assert "Observations > Export events" in refused
