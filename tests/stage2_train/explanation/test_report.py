"""`orn report` on tiny runs: its files, its numbers, its size, and what it refuses."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orn.shared.errors import JoinError, PipelineError
from orn.stage2_train.explanation.page_pictures import Picture, fitted_page
from orn.stage2_train.explanation.report import write_report
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.run_config import read_config
from tests.running import run_orn
from tests.stage2_train.explanation.conftest import EVAL_OPTIONS, Reported
from tests.worlds.films import write_films_shard

ON_CPU = Resources(device="cpu")


def report(run: Path, *more: str) -> dict:
    return run_orn("report", run, *EVAL_OPTIONS, "--json", *more).json


@pytest.fixture(scope="session")
def run(reported: Reported) -> Path:
    return reported.run


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    """The run, to report on it again."""
    return shutil.copytree(run, tmp_path / "run")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_numbers_are_those_of_eval(run) -> None:
    measured = json.loads((run / "eval-validation.json").read_text())
    html = (run / "report.html").read_text("utf-8")
    assert f">{100 * measured['two_heads']['top1']:.1f} %</b>" in html
    text = " ".join(re.sub("<[^>]*>", " ", html).split())
    for head in ("two_heads", "activity_head", "object_head"):
        assert f" {head.replace('_', ' ')} top1 {100 * measured[head]['top1']:.2f} " in text
    for row in measured["per_class"]:
        assert f" {row['class']} {row['num_segments']} {100 * row['two_heads']:.2f} " in text
    counts = [[int(row["right"]), int(row["down"])] for row in rows(run / "report/confusion.csv")]
    found = [[*place, n] for place, n in np.ndenumerate(np.array(counts)) if n]
    assert found == measured["confusion_counts"]
    assert sum(map(int, re.findall(r'data-cell="\d-\d"[^>]*>(\d+)<', html))) == 4
    metrics = {(row["head"], row["metric"]): row for row in rows(run / "report/metrics.csv")}
    assert float(metrics["two_heads", "top1"]["value"]) == measured["two_heads"]["top1"]


def test_every_figure_lies_beside_the_page(run) -> None:
    names = {each.name for each in (run / "report").iterdir()}
    for stem in ("training", "confusion"):
        assert {f"{stem}.png", f"{stem}.svg", f"{stem}.csv"} <= names
    assert {"metrics.csv", "classes.csv", "clips.csv", "figure4.csv"} <= names
    assert {"figure4-001-right.png", "figure4-001-right.svg"} <= names
    assert len([name for name in names if re.match("figure[56]-", name)]) == 2 * 4
    for path in (run / "report").glob("*.png"):
        assert np.asarray(Image.open(path)).std() > 5
    assert len(rows(run / "report/clips.csv")) == 4
    assert "two heads" in (run / "report/training.svg").read_text()  # the phase that begins


def test_figure_4_counts_every_pair_of_the_clips(run) -> None:
    found = rows(run / "report/figure4.csv")
    assert {row["activity"] for row in found} == {"right", "down"}
    assert {row["first"] for row in found} <= {"person", "bottle", "cup", "background"}
    # Every earlier object with every later one: 3 a frame, 6 pairs of 4 frames, 2 clips a class.
    for activity in ("right", "down"):
        of_class = [row for row in found if row["activity"] == activity]
        assert sum(int(row["pairs"]) for row in of_class) == 2 * 6 * 9
        assert {row["activity_clips"] for row in of_class} == {"2"}


def test_the_page_says_how_it_was_made_and_may_load_nothing(run) -> None:
    html = (run / "report.html").read_text("utf-8")
    assert "default-src 'none'" in html
    assert read_config(run).dataset.train_digest in html
    assert "relation_width = 6" in html
    assert "drawn sha256:0" in html


def test_pictures_are_taken_by_rank_while_they_fit() -> None:
    noise = np.random.default_rng(0).bytes(60_000)
    pictures = [Picture(key=str(number), data=noise, rank=-number) for number in range(9)]

    def page(held) -> str:
        return "x" * 900 + "".join(each.source for each in pictures if each.key in held)

    for most in (60_000, 300_000, 1_000_000):
        html = fitted_page(page, pictures, largest_bytes=most, kind="report")
        assert len(html.encode()) <= most
        count = html.count("data:image/webp;base64,")
        assert count == 9 or most - len(html.encode()) < 90_000
        assert all(each.source in html for each in pictures[9 - count :])  # the last rank first
    with pytest.raises(PipelineError, match="800 bytes"):
        fitted_page(page, pictures, largest_bytes=800, kind="report")


def test_the_command_tells_what_is_there(reported: Reported) -> None:
    page, result = reported.run / "report.html", reported.result
    assert (result["report"], result["bytes"]) == (str(page), page.stat().st_size)
    assert result["files"] == len(list((reported.run / "report").iterdir()))


def test_an_interrupted_report_deletes_nothing_and_the_next_one_shows_chosen_clips(
    copied, monkeypatch
) -> None:
    """Neither while clips are explained, nor before the page itself is written."""
    (copied / "report" / "notes.txt").write_text("mine")
    before = {p: p.read_bytes() for p in [*copied.glob("report/*"), copied / "report.html"]}

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place in ("explained_clips", "write_text"):
        monkeypatch.setattr(f"orn.stage2_train.explanation.report.{place}", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_report(copied, resources=ON_CPU)
        assert before == {path: path.read_bytes() for path in before}
        assert not [path.name for path in copied.iterdir() if "new" in path.name]
        monkeypatch.undo()
    id = rows(copied / "report/clips.csv")[2]["id"]
    report(copied, "--segment", id, "--explain", "1")
    assert (copied / "report" / "notes.txt").read_text() == "mine"
    html = (copied / "report.html").read_text("utf-8")
    section = html[html.index('id="figure5"') : html.index('id="training"')]
    assert section.count("<figcaption>") == 1
    assert id in section
    assert {row["activity_clips"] for row in rows(copied / "report/figure4.csv")} == {"1"}
    assert len([each for each in (copied / "report").iterdir() if "figure5-" in each.name]) == 2
    with pytest.raises(JoinError, match=f"'x'.*'{id[:4]}"):
        write_report(copied, resources=ON_CPU, segments=("x",))


def test_clips_lead_to_the_shard_of_their_middle(copied, tiny_world, tmp_path) -> None:
    films = list(tiny_world.films.values())
    for number, frames in enumerate((slice(2), slice(2, None))):
        path = tmp_path / f"shard-00000{number}.zarr.zip"
        write_films_shard(path, films, frames=frames)
        path.with_name(f"shard-00000{number}.html").touch()
    report(copied, "--shards", str(tmp_path))
    html = (copied / "report.html").read_text("utf-8")
    assert set(re.findall(r"(shard-\d+).html#film%2F\d+/(\d+)", html)) == {("shard-000001", "4")}


@pytest.mark.parametrize(
    ("settings", "figure_4", "figure_5"),
    [
        ("--system activity-head", "does not relate objects", "so there are no pairs to show"),
        ("--system orn-pixel", "does not relate objects", "so there are no pairs to show"),
        pytest.param(
            "--set model.clique_size=3", "3 objects", "The width of a line", marks=pytest.mark.slow
        ),
    ],
    ids=["activity head", "cells", "triples"],
)
def test_other_systems(train_tiny, tmp_path, settings, figure_4, figure_5) -> None:
    run = train_tiny(tmp_path, *settings.split())
    report(run)
    html = (run / "report.html").read_text("utf-8")
    pairs, of_classes = html.index('id="figure5"'), html.index('id="figure4"')
    assert figure_5 in html[pairs:of_classes]
    assert figure_4 in html[of_classes:]
