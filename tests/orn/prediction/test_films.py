"""From a table of intervals to intervals found in films, with real commands."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from orn.shared.video.read import read_frames
from tests.running import run_python

DATA = Path(__file__).parents[4] / "shared" / "data" / "longworld"
QUICKLY = ("--set", "phases.epochs=2", "--no-final")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no films in {DATA}"),
]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four films of two classes, trained on in two folds."""
    folder = tmp_path_factory.mktemp("films")
    own = folder / "world"
    (own / "videos").mkdir(parents=True)
    names = [f"videos/drawer-{number:02}.mp4" for number in range(4)]
    for name in names:
        shutil.copy(DATA / name, own / name)
    with (DATA / "labels.csv").open(newline="") as table:
        rows = [row for row in csv.reader(table) if row[0] in {"video", *names}]
    with (own / "labels.csv").open("w", newline="") as table:
        csv.writer(table, lineterminator="\n").writerows(rows)
    objects = json.loads((DATA / "objects.json").read_text())
    stems = {name.removesuffix(".mp4").split("/")[-1] for name in names}
    images = [own for own in objects["images"] if any(s in own["file_name"] for s in stems)]
    ids = {own["id"] for own in images}
    annotations = [own for own in objects["annotations"] if own["image_id"] in ids]
    content = {**objects, "images": images, "annotations": annotations}
    (folder / "objects.json").write_text(json.dumps(content))
    orn(
        folder,
        "run",
        "world/labels.csv",
        "--intervals",
        "--folds",
        "2",
        *OBJECTS,
        *QUICKLY,
        "--yes",
    )
    return folder


OBJECTS = ("--objects", "objects.json", "--format", "coco")
FOUND = ("world/videos/drawer-00.mp4", "world/videos/drawer-01.mp4")


def orn(folder: Path, *words: str):
    """Runs `orn` in a folder."""
    return run_python("-P", "-m", "orn", *words, folder=folder)


def run_of(films: Path) -> Path:
    """The run of the first fold."""
    (run,) = (films / "runs").iterdir()
    return run / "fold-1"


def test_folds_measure_intervals_and_a_second_run_does_nothing(films):
    results = json.loads((run_of(films).parent / "eval-folds.json").read_text())
    figures = results["films"]["figures"]
    assert len(results["films"]["films"]) == 4
    assert all(0 <= own["value"] <= 1 for own in figures.values() if own["value"] is not None)
    again = orn(
        films,
        "run",
        "world/labels.csv",
        "--intervals",
        "--folds",
        "2",
        *OBJECTS,
        *QUICKLY,
        "--dry-run",
    )
    assert again.stdout.count("0 steps") == 2


def test_lists_comparisons_and_reports_are_of_intervals(films):
    run = run_of(films).parent
    own, baseline = (
        json.loads((folder / "eval-folds.json").read_text())["films"]
        for folder in (run, run / "baseline")
    )
    (listed,) = json.loads(orn(films, "runs", "--json").stdout)["runs"]
    assert (listed["metric"], listed["score"]) == ("f1_50", own["figures"]["f1_50"]["value"])
    assert {"forest", "mean_durations", "background"} <= {"forest", *baseline["beside"]}
    words = ("compare", str(run / "baseline"), str(run), "--on", "folds", "--json")
    compared = json.loads(orn(films, *words).stdout)["figures"]["f1_50"]
    assert compared["one"] == baseline["figures"]["f1_50"]["value"]
    page = (run / "report.html").read_text()
    assert "F1 at 50 % overlap" in page and "mean durations" in page
    names = [f"timelines/videos/drawer-0{number}.mp4.html" for number in range(4)]
    assert all(f'href="{name}"' in page and (run / name).is_file() for name in names)


@pytest.fixture(scope="module")
def printed(films: Path) -> list[str]:
    """What a prediction of two films prints, a line for each interval, with every output."""
    outputs = ("--csv", "found.csv", "--frames-csv", "frames.csv", "--html", "pages")
    words = (str(run_of(films)), *FOUND, *OBJECTS, *outputs, "--overlay", "drawn", "--json")
    return orn(films, "predict", *words).stdout.splitlines()


def found(films: Path) -> list[dict[str, str]]:
    with (films / "found.csv").open(newline="") as table:
        return [*csv.DictReader(table)]


def test_found_intervals_are_a_table_for_the_next_run(films, printed):
    lines = [json.loads(line) for line in printed]
    assert [own["label"] for own in lines] == [row["label"] for row in found(films)]
    assert all(0 < each["drop"] <= 1 for own in lines for each in own["objects"])
    assert any(own["objects"] for own in lines)
    for row in found(films):
        assert 0 <= float(row["start"]) < float(row["stop"]) <= 27
        assert row["label"] != "none"


def test_a_timeline_shows_each_film(films, printed):
    for name in FOUND:
        page = (films / "pages" / f"{Path(name).stem}.html").read_text()
        assert name in page and "drawer: open" in page
    words = ("predict", str(run_of(films)), *FOUND, *OBJECTS, "--html", "one.html")
    ran = run_python("-P", "-m", "orn", *words, folder=films, exit_code=None)
    assert ran.exit_code == 2 and "a folder for 2 videos" in ran.stderr
    assert not (films / "one.html").exists()


def test_a_film_with_objects_shows_the_intervals_that_hold(films, printed):
    """The strip above its frames has the color of an activity where one is, else gray."""
    colored = set()
    for name in FOUND:
        rows = [row for row in found(films) if row["video"] == name]
        spans = [(float(row["start"]), float(row["stop"])) for row in rows]
        frames = [*read_frames(films / "drawn" / Path(name).name)]
        assert len(frames) == len([*read_frames(films / name)])
        is_colored = [bool(np.ptp(frame.image[2, 2].astype(int)) > 20) for frame in frames]
        assert is_colored == [any(a <= own.seconds < b for a, b in spans) for own in frames]
        colored.update(is_colored)
    assert colored == {True, False}


def test_probabilities_are_written_at_each_described_time(films, printed):
    with (films / "frames.csv").open(newline="") as table:
        rows = [*csv.reader(table)]
    assert rows[0] == ["video", "seconds", "drawer: close", "drawer: open", "none"]
    assert [row[0] for row in rows[1:]] == [name for name in FOUND for _ in range(260)]
    assert [float(row[1]) for row in rows[1:261]] == pytest.approx([n / 10 for n in range(260)])
    assert all(abs(sum(map(float, row[2:])) - 1) < 0.001 for row in rows[1:])


def test_a_prediction_does_not_depend_on_what_was_predicted_before(films, printed):
    alone = orn(films, "predict", str(run_of(films)), FOUND[1], *OBJECTS, "--json").stdout
    assert alone and alone.splitlines() == printed[-len(alone.splitlines()) :]


def test_a_model_folder_finds_the_same_intervals(films, printed):
    orn(films, "export", str(run_of(films)), "model")
    words = ("predict", "model", FOUND[0], *OBJECTS, "--json")
    own = orn(films, *words).stdout.splitlines()
    assert own and own == printed[: len(own)]


@pytest.fixture
def damaged(films: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the model whose head over time is damaged."""
    copy = tmp_path / "model"
    orn(films, "export", str(run_of(films)), str(copy))
    path = copy / "film_head.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return copy


def test_a_damaged_head_is_refused_in_one_line(films, damaged):
    words = ("predict", str(damaged), "world/videos/drawer-00.mp4", *OBJECTS)
    ran = run_python("-P", "-m", "orn", *words, folder=films, exit_code=None)
    assert ran.exit_code != 0 and "film_head" in ran.stderr and "Traceback" not in ran.stderr
