"""The review of labels, and the plot of probabilities, in a real browser."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.stage2_train.evaluation.calibration_error import calibration_values
from orn.stage2_train.runs.eval_file import Calibration
from tests.browser import ON_ANY_SCREEN, downloaded, opened, serious_problems, until
from tests.running import run_orn
from tests.stage2_train.report.made_pages import made_page
from tests.worlds.evaluations import predictions_of

CLASSES = ('<b>"pour"</b>, twice', "two\nlines; =1+1", "\u05d0 class", "wave")
HOSTILE_ID = '</script><img src=x onerror=alert(1)>,"a"\n\u202eb'
NUM_CLIPS = 40
pytestmark = pytest.mark.timeout(200)


def write_page(run: Path, out: Path, *, several: bool = False, manifest: str | None = None) -> Path:
    """A page of forty clips, which a calibrated model predicts without a mistake unless it is
    clip 0, 1 or 2, whose label is another class; clip 0 the surest."""
    true_N = np.arange(NUM_CLIPS) % len(CLASSES)
    given_N = true_N.copy()
    given_N[:3] = (true_N[:3] + 1) % len(CLASSES)
    logits_NA = 4 * np.eye(len(CLASSES))[true_N] - (2 if several else 0)
    logits_NA[:3] *= np.array([[4], [3], [2]])
    predictions = predictions_of(
        [HOSTILE_ID, *(f"clips/{row}" for row in range(1, NUM_CLIPS))],
        np.eye(len(CLASSES), dtype=np.float32)[given_N] if several else given_N,
        object_logits=logits_NA,
        fitted_on="other clips",
    )
    calibration = Calibration.model_validate(calibration_values(predictions))
    changes = {"calibration": calibration, "made_from": {"x": 1}, "manifest": manifest}
    html = made_page(run, predictions, CLASSES, **changes)
    out.write_text(html, encoding="utf-8")
    return out


def saved(page: Any, folder: Path) -> list[dict[str, str]]:
    name, rows = downloaded(page, "#review-save", folder)
    assert name == "corrections.csv"
    return rows


def test_decisions_by_keyboard_are_saved_as_they_are(chromium, reported: Path, tmp_path) -> None:
    path = write_page(reported, tmp_path / "report.html")
    with opened(chromium, path) as page:
        clips = page.locator("#review-clips article")
        assert clips.count() == 3
        assert page.locator("#review-clips b").count() == 0  # names are texts
        assert page.is_disabled("#review-save")
        assert "doubts 3 of 40 labels" in page.inner_text("#review")
        assert "--corrections corrections.csv" in page.inner_text("#review pre")
        clips.first.focus()
        page.keyboard.press("1")
        options = page.locator("#review-clips select option").all_inner_texts()
        assert [name[:6] for name in options] == ['<b>"po', "two\\u0", "\u05d0 clas", "wave"]
        page.keyboard.press("j")
        page.keyboard.press("2")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("3")
        page.keyboard.press("k")
        assert "\nclips/1\n" in page.evaluate("document.activeElement.innerText")
        assert page.inner_text("#review-status") == "3 of 3 clips decided"
        assert saved(page, tmp_path) == [
            {"id": HOSTILE_ID, "verdict": "wrong", "label": CLASSES[0]},
            {"id": "clips/1", "verdict": "right", "label": ""},
            {"id": "clips/2", "verdict": "leave out", "label": ""},
        ]
        page.locator("#review-clips select").select_option("1")
        page.reload()  # keeps the decisions, and the chosen label
        assert page.inner_text("#review-status") == "3 of 3 clips decided"
        clips.nth(1).get_by_role("button", name="Right").click()  # takes it back
        assert saved(page, tmp_path) == [
            {"id": HOSTILE_ID, "verdict": "wrong", "label": CLASSES[1]},
            {"id": "clips/2", "verdict": "leave out", "label": ""},
        ]
        assert page.evaluate("document.images.length") == 0
        assert page.evaluate("document.scripts.length") == 2


def test_a_clip_with_several_labels_gets_all_correct_ones(chromium, reported, tmp_path) -> None:
    path = write_page(reported, tmp_path / "report.html", several=True)
    with opened(chromium, path) as page:
        last = page.locator("#review-clips article").last
        last.focus()
        page.keyboard.press("1")
        select = last.locator("select")
        assert select.evaluate("each => [...each.selectedOptions].map((own) => own.value)") == ["2"]
        select.select_option([])
        page.click("#review-save")
        assert "Choose the correct label of clips/2" in page.inner_text("#review-status")
        assert page.evaluate("document.activeElement.localName") == "select"
        select.select_option(["0", "3"])
        assert saved(page, tmp_path) == [
            {"id": "clips/2", "verdict": "wrong", "label": f"{CLASSES[0]};{CLASSES[3]}"}
        ]


def test_the_command_on_the_page_applies_the_saved_table(chromium, train_tiny, tmp_path) -> None:
    run = train_tiny(tmp_path)
    labels = tmp_path / "data" / "tiny" / "labels.csv"
    rows = [line.split(",") for line in labels.read_text().splitlines()[1:5]]
    given_N = np.array([("right", "down").index(label) for _, label, _ in rows])
    logits_NA = 4 * np.eye(2)[given_N]
    logits_NA[0] = 9 * np.eye(2)[1 - given_N[0]]
    predictions = predictions_of(
        [video for video, *_ in rows], given_N, object_logits=logits_NA, fitted_on="other clips"
    )
    calibration = Calibration.model_validate(calibration_values(predictions))
    html = made_page(run, predictions, ("right", "down"), calibration=calibration, made_from={})
    (tmp_path / "report.html").write_text(html, encoding="utf-8")
    with opened(chromium, tmp_path / "report.html") as page:
        page.get_by_role("button", name="Wrong, should be").click()
        saved(page, tmp_path)
        program, *words = shlex.split(page.inner_text("#review pre"))
    before = labels.read_text()
    assert program == "orn"
    run_orn(*words, folder=tmp_path)
    corrected = before.replace(
        ",".join(rows[0]), f"{rows[0][0]},{('down', 'right')[given_N[0]]},{rows[0][2]}"
    )
    assert labels.read_text() == corrected != before


def test_without_storage_decisions_last_as_long_as_the_page(chromium, reported, tmp_path) -> None:
    path = write_page(reported, tmp_path / "report.html")
    with opened(chromium, path) as page:
        page.evaluate("localStorage.setItem(Object.keys(localStorage)[0], '[[1], 2')")
        page.add_init_script("delete window.localStorage; Storage.prototype.setItem = null;")
        page.reload()
        assert page.inner_text("#review-status") == "0 of 3 clips decided"
        page.get_by_role("button", name="Leave out").first.click()
        assert [row["verdict"] for row in saved(page, tmp_path)] == ["leave out"]


@ON_ANY_SCREEN
def test_everybody_can_review_and_read_the_plot(
    chromium: Any, reported: Path, tmp_path: Path, width: int, dark: bool
) -> None:
    path = write_page(reported, tmp_path / "report.html")
    with opened(chromium, path, width=width, dark=dark) as page:
        page.get_by_role("button", name="Wrong, should be").first.click()
        (bar,) = page.get_by_role("list", name="Reliability").locator("li").all_inner_texts()
        assert bar.split("\n") == ["90 to 100 %", "92 % of 40"]
        assert "calibrated on other clips" in page.inner_text("#parts figcaption")
        assert serious_problems(page) == []
        outline = "getComputedStyle(document.querySelector('#review-clips article')).outlineWidth"
        page.locator("#review-clips article").first.focus()
        until(page, f"{outline} === '3px'")


def test_labels_are_reviewed_where_a_calibrated_model_meets_a_table(reported, tmp_path) -> None:
    html = (reported / "report.html").read_text("utf-8")
    assert "--folds" in html and "--corrections" not in html
    assert 'id="reliability"' not in html, "of four clips"
    html = write_page(reported, tmp_path / "report.html", manifest="something").read_text("utf-8")
    assert "cannot correct them" in html and "--corrections" not in html
