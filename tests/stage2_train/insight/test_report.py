"""`orn report` on tiny runs: its files, its numbers, its size, and what it refuses."""

import csv
import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orn.shared.errors import JoinError, PipelineError
from orn.stage2_train.insight.report import write_report
from orn.stage2_train.insight.report_page import CellClips, Picture, ReportPage, Section, shown
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.run_config import read_config
from tests.running import run_orn
from tests.stage2_train.insight.conftest import EVAL_OPTIONS

ON_CPU = Resources(device="cpu")


def report(run: Path, *more: str) -> dict:
    return run_orn("report", run, *EVAL_OPTIONS, "--json", *more).json


@pytest.fixture(scope="module")
def run(train_tiny, tmp_path_factory) -> Path:
    """A run with its report."""
    run = train_tiny(tmp_path_factory.mktemp("reported"))
    result = report(run)  # measures it first
    assert result["report"] == str(run / "report.html")
    assert result["bytes"] == (run / "report.html").stat().st_size
    assert result["files"] == len(list((run / "report").iterdir()))
    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def cells(html: str, heading: str) -> list[list[str]]:
    """The texts of the table that is behind a heading."""
    body = html[html.index(heading) :]
    body = body[body.index("<tbody>") : body.index("</tbody>")]
    return [
        [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall("<tr>(.*?)</tr>", body)
    ]


def test_numbers_are_those_of_eval(run) -> None:
    measured = json.loads((run / "eval-validation.json").read_text())
    html = (run / "report.html").read_text("utf-8")
    shown = {(row[0], row[1]): row[2] for row in cells(html, ">Scores</h2>")}
    for head in ("two_heads", "activity_head", "object_head"):
        assert shown[head.replace("_", " "), "top1"] == f"{100 * measured[head]['top1']:.2f}"
    wanted = [
        [row["class"], str(row["num_segments"]), f"{100 * row['two_heads']:.2f}"]
        for row in measured["per_class"]
    ]
    assert [row[:3] for row in cells(html, ">Classes</h3>")] == wanted
    counts = [[int(row["right"]), int(row["down"])] for row in rows(run / "report/confusion.csv")]
    found = [[*place, n] for place, n in np.ndenumerate(np.array(counts)) if n]
    assert found == measured["confusion_counts"]
    assert sum(map(int, re.findall(r'data-cell="\d-\d"[^>]*>(\d+)<', html))) == 4
    metrics = {(row["head"], row["metric"]): row for row in rows(run / "report/metrics.csv")}
    assert float(metrics["two_heads", "top1"]["value"]) == measured["two_heads"]["top1"]


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "</bdi><script>", 'a & b "c"'])
def test_names_with_markup_are_text(name, lines) -> None:
    html = shown(name, lines=lines)
    assert "<" not in html.removeprefix("<bdi>").removesuffix("</bdi>")
    assert unescape(html.removeprefix("<bdi>").removesuffix("</bdi>")) == name


def test_every_figure_lies_beside_the_page(run) -> None:
    names = {each.name for each in (run / "report").iterdir()}
    for stem in ("training", "confusion"):
        assert {f"{stem}.png", f"{stem}.svg", f"{stem}.csv"} <= names
    assert {"metrics.csv", "classes.csv", "clips.csv", "figure4.csv"} <= names
    graphs = {name for name in names if name.startswith("figure4-")}
    assert {"figure4-001-right.png", "figure4-001-right.svg"} <= graphs
    cases = [name for name in names if re.match("figure[56]-", name)]
    assert len(cases) == 8  # a picture and a table of each of four clips
    for name in names:
        if name.endswith(".png"):
            assert np.asarray(Image.open(run / "report" / name)).std() > 5
    assert len(rows(run / "report/clips.csv")) == 4


def test_figure_4_counts_every_pair_of_the_clips(run) -> None:
    found = rows(run / "report/figure4.csv")
    assert {row["activity"] for row in found} == {"right", "down"}
    assert {row["first"] for row in found} <= {"person", "bottle", "cup", "background"}
    # Every earlier object with every later one: 3 a frame, 6 pairs of 4 frames, 2 clips a class.
    for activity in ("right", "down"):
        of_class = [row for row in found if row["activity"] == activity]
        assert sum(int(row["pairs"]) for row in of_class) == 2 * 6 * 9
        assert {row["activity_clips"] for row in of_class} == {"2"}


def test_the_page_loads_nothing_and_says_how_it_was_made(run) -> None:
    html = (run / "report.html").read_text("utf-8")
    assert set(re.findall(r'src="([^"]{0,11})', html)) == {"data:image/"}
    assert not re.search(r'href="(?!#)', html)
    assert "default-src 'none'" in html
    assert 'style="' not in html  # which the policy would refuse
    assert read_config(run).dataset.train_digest in html
    assert "relation_width = 6" in html
    assert "drawn sha256:0" in html


def test_pictures_are_taken_by_rank_while_they_fit() -> None:
    noise = np.random.default_rng(0).bytes(60_000)
    own = {"data": noise, "media": "image/webp", "alt": "noise"}
    pictures = [
        Picture(key=str(number), file=f"report/{number}.png", rank=-number, **own)
        for number in range(9)
    ]
    page = ReportPage(
        title="full",
        lead="",
        sections=[Section(id="all", title="all", parts=pictures)],
        cells=[CellClips(row=0, column=0, title="", clips=range(50))],
        clips={row: (f"id {row}", "") for row in range(50)},
        thumbnails={row: noise[:1500] for row in range(50)},
    )
    for most in (60_000, 200_000, 300_000, 700_000, 1_000_000):
        html = page.html(most)
        assert len(html.encode()) <= most
        left_out = re.findall(r"The picture is in <code>report/(\d).png", html)
        assert html.count("data:image/webp;base64,") == 9 - len(left_out) + 1  # and the program's
        assert left_out == [str(number) for number in range(len(left_out))]  # the last rank first
        assert most - len(html.encode()) < 81_000 or len(left_out) == 0
    assert html.count('"],') >= 49
    with pytest.raises(PipelineError, match="1,000 bytes"):
        page.html(1000)


@pytest.mark.slow
def test_the_page_of_a_run_keeps_to_its_size(run) -> None:
    whole = (run / "report.html").stat().st_size
    assert write_report(run, resources=ON_CPU)["bytes"] == whole
    assert write_report(run, resources=ON_CPU, largest_bytes=60_000)["bytes"] <= 60_000
    html = (run / "report.html").read_text("utf-8")
    assert "The picture is in <code>report/figure" in html
    report(run)


def test_chosen_clips_are_shown_and_other_ids_refused(run) -> None:
    id = rows(run / "report/clips.csv")[2]["id"]
    report(run, "--segment", id, "--explain", "1")
    html = (run / "report.html").read_text("utf-8")
    section = html[html.index('id="figure5"') : html.index('id="figure6"')]
    assert section.count("<figcaption>") == 1
    assert id in section
    assert {row["activity_clips"] for row in rows(run / "report/figure4.csv")} == {"1"}
    assert len([each for each in (run / "report").iterdir() if "figure5-" in each.name]) == 2
    with pytest.raises(JoinError, match=f"'x'.*'{id[:4]}"):
        write_report(run, resources=ON_CPU, segments=("x",))


@pytest.mark.parametrize(
    ("settings", "figure_4", "figure_5"),
    [
        (("--system", "activity-head"), "relates no objects", "so no pair decided"),
        pytest.param(
            ("--set", "model.clique_size=3"), "3 objects", "Lines join", marks=pytest.mark.slow
        ),
    ],
    ids=["activity head", "triples"],
)
def test_other_systems(train_tiny, tmp_path, settings, figure_4, figure_5) -> None:
    run = train_tiny(tmp_path, *settings)
    report(run)
    html = (run / "report.html").read_text("utf-8")
    places = [html.index(f'id="figure{number}"') for number in (4, 5, 6)]
    assert figure_4 in html[places[0] : places[1]]
    assert figure_5 in html[places[1] : places[2]]


def test_several_labels_a_clip(train_tiny, tmp_path) -> None:
    run = train_tiny(tmp_path, task="multi-label", metric="map")
    report(run)
    measured = json.loads((run / "eval-validation.json").read_text())
    html = (run / "report.html").read_text("utf-8")
    assert f"<b>{100 * measured['two_heads']['map']:.2f} %</b>" in html
    counts = rows(run / "report/confusion.csv")
    assert list(counts[0]) == ["true", "found", "missed", "false alarm"]
    assert all(int(row["found"]) + int(row["missed"]) == 2 for row in counts)
