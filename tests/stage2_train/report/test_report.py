"""`orn report` on tiny runs: its numbers, its size, and what it refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orn.stage2_train.report import explained_clips, report_job
from orn.stage2_train.report.eval_results import Measured
from orn.stage2_train.report.label_doubts import Doubt
from tests.running import LAPTOP, run_orn


def test_numbers_are_those_of_eval(reported: Path) -> None:
    measured = json.loads((reported / "eval-validation.json").read_text())
    html = (reported / "report.html").read_text("utf-8")
    text = " ".join(re.sub("<[^>]*>", " ", html).replace("&nbsp;", " ").split())
    for name in ("two_heads", "activity_head", "object_head"):
        figure = measured["figures"][name]["top1"]
        part = name.replace("two", "both").replace("_", " ")
        assert f" {part} {100 * figure['value']:.1f} " in text
        assert figure["low"] is None, "of four videos"
    assert "Percentages are not probabilities: the model is not calibrated. Log loss " in text
    cells = re.findall(r'data-cell="(\d)-(\d)"[^>]*>(\d+)<', html)
    assert [[*map(int, cell)] for cell in cells] == measured["confusion_counts"]
    mistakes = sum(
        number for true, predicted, number in measured["confusion_counts"] if true != predicted
    )
    assert f" {mistakes} in total" in text
    assert "Only 4 clips were evaluated" in text and "detector of the demo" not in text


def test_the_page_says_how_it_was_made_and_may_load_nothing(reported: Path) -> None:
    html = (reported / "report.html").read_text("utf-8")
    assert "default-src 'none'" in html
    assert "relation_width = 6" in html
    assert "drawn sha256:0" in html


def test_weights_of_the_first_phase_are_explained_by_its_own_layers(
    train_tiny, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, explain, found = (
        train_tiny(tmp_path, "--set", "phases.epochs=0"),
        explained_clips.explain,
        [],
    )

    def noted(*args: Any, **options: Any) -> Any:
        found.append(explain(*args, **options))
        return found[-1]

    monkeypatch.setattr(explained_clips, "explain", noted)
    run_orn("report", run, *LAPTOP)
    assert found and all(own.is_alone for own in found)
    assert all(own.output.activity_logits_BA is None for own in found)


def test_clips_whose_label_is_doubted_are_on_the_page(
    train_tiny, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train_tiny(tmp_path)
    doubts = [Doubt(row=row, given=(0,), suggested=(1,), margin=0.5) for row in (3, 0, 1, 2)]
    monkeypatch.setattr(Measured, "doubts", lambda self: doubts)
    monkeypatch.setattr(explained_clips, "_MOST_CLIPS", 1)  # no other clips are on the page
    monkeypatch.setattr(explained_clips, "_GROUPS", 0)
    run_orn("report", run, *LAPTOP)
    html = (run / "report.html").read_text("utf-8")
    found = re.search(r'id="data">(.*?)</script>', html)
    assert found is not None
    data = json.loads(found[1])
    assert [clip["row"] for clip in data["review"]["clips"]] == [3, 0, 1, 2]
    assert data["review"]["classes"] == ["right", "down"]
    assert data["strips"].keys() == {"0", "1", "2", "3"}


@pytest.mark.parametrize(
    "settings",
    [
        "--system activity-head",
        "--system orn-pixel",
        pytest.param("--set model.clique_size=3", marks=pytest.mark.slow),
    ],
)
def test_other_systems_have_no_pairs_and_say_so(train_tiny, tmp_path, settings: str) -> None:
    run = train_tiny(tmp_path, *settings.split())
    run_orn("report", run, *LAPTOP)
    html = (run / "report.html").read_text("utf-8")
    assert html.count("relates no pairs of detected objects") == 2
    assert "important pairs" not in html[html.index('id="mistakes"') :]


def test_timelines_that_are_gone_or_edited_make_a_report_stale(
    train_tiny, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(run: Path, *_: Any) -> list[Any]:
        for name in ("a", "b/c"):
            page = run / "timelines" / f"{name}.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text("a timeline")
        return []

    monkeypatch.setattr(report_job, "write_timelines", write)
    run = train_tiny(tmp_path)
    page = run / "timelines" / "b" / "c.html"
    for spoil in (page.unlink, lambda: page.write_text("edited")):
        run_orn("report", run, *LAPTOP)
        assert report_job.stale_report(run) is None
        spoil()
        assert "c.html has changed" in str(report_job.stale_report(run))
