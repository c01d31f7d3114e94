"""The page of a run in a real browser."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser import HOSTILE, ON_ANY_SCREEN, WITH_HOSTILE_TEXT, opened, serious_problems, until
from tests.running import LAPTOP, run_orn
from tests.stage2_train.report.made_pages import made_page
from tests.worlds.evaluations import predictions_of

ALL_PICTURES = "[...document.images].every((each) => each.complete && each.naturalWidth > 8)"
pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="session")
def path(reported: Path) -> Path:
    return reported / "report.html"


def test_it_leads_to_every_part_and_cells_open_the_clips_behind_them(chromium, path) -> None:
    with opened(chromium, path) as page:
        until(page, ALL_PICTURES)
        assert page.title() == "run \u2013 report"
        for place in ("parts", "confusion", "mistakes", "related", "made"):
            page.click(f"nav a[href='#{place}']")
            until(page, f"location.hash === '#{place}'")
        assert page.is_hidden("#cell")
        total = 0
        for button in page.locator("[data-cell]").all():
            button.click()
            count = int(button.inner_text())
            assert page.locator("#cell-clips li .clip-frame").count() == count
            total += count
        assert total == 4
        assert "film/" in page.inner_text("#cell-clips")
        page.locator("#cell-clips .clip").first.press("Enter")
        assert page.is_visible("#player")


def test_clips_play_until_they_are_paused(chromium: Any, path: Path) -> None:
    with opened(chromium, path) as page:
        assert 1 <= page.locator("#worst .clip-frame").count() <= 3
        plays(page, "#worst")
        page.click(".pause >> nth=0")
        assert "Play" in page.inner_text(".pause >> nth=0")
        page.click(".pause >> nth=0")
        case = page.locator("#mistakes .clip").first
        case.press("Enter")
        assert page.is_visible("#player")
        assert page.locator("#player img").count() == 1
        plays(page, "#player-stage")
        page.click("#player .pause")
        assert page.inner_text("#player .pause") == "Play clips"
        page.keyboard.press("Escape")
        assert page.is_hidden("#player")
        page.emulate_media(reduced_motion="reduce")
        page.reload()
        assert "Play" in page.inner_text(".pause >> nth=0")


def plays(page: Any, part: str) -> None:
    place = f"document.querySelector('{part} .clip-frame').style.backgroundPosition"
    until(page, f"{place} !== {json.dumps(page.evaluate(place))}")


@ON_ANY_SCREEN
def test_everybody_can_use_it(chromium: Any, path: Path, width: int, dark: bool) -> None:
    """The answer and the worst clip are on the first screen."""
    with opened(chromium, path, width=width, dark=dark) as page:
        assert "top-1 accuracy of both heads on 4" in page.inner_text(".answer")
        for part in (".answer", "#worst .clip >> nth=0"):
            box = page.locator(part).bounding_box()
            assert box["y"] + box["height"] < 800
        assert page.locator("#made").bounding_box()["height"] < 800
        assert serious_problems(page) == []
        page.locator("[data-cell]").first.click()
        for place in range(page.locator("summary").count()):
            page.locator("summary").nth(place).click()
        page.locator("#mistakes .clip").first.click()
        assert serious_problems(page) == []


def test_printing_opens_what_is_folded_and_shows_the_whole_matrix(chromium, path) -> None:
    with opened(chromium, path, width=700) as page:  # A4 without its margins
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        count = page.locator("details.print").count()
        assert page.locator("details.print[open]").count() == count > 0
        page.emulate_media(media="print")
        assert page.pdf()[:4] == b"%PDF"
        assert page.is_hidden("nav")
        matrix = page.locator(".matrix").bounding_box()
        assert matrix["x"] >= 0 and matrix["x"] + matrix["width"] <= 700
        sizes = page.evaluate(
            "[...document.querySelectorAll('.matrix th, .matrix button')].map((each) =>"
            " [parseFloat(getComputedStyle(each).fontSize), each.scrollWidth - each.clientWidth])"
        )
        assert all(size >= 8 and hidden <= 0 for size, hidden in sizes)


def test_several_labels_a_clip_with_hostile_names(chromium, train_tiny, tmp_path) -> None:
    run = train_tiny(tmp_path, task="multi-label", metric="map", names=(HOSTILE[0], HOSTILE[1]))
    run_orn("report", run, *LAPTOP)  # measures it first
    measured = json.loads((run / "eval-validation.json").read_text())
    with opened(chromium, run / "report.html", width=360) as page:
        assert f"{100 * measured['two_heads']['map']:.1f}\xa0%" in page.inner_text(".answer")
        page.locator("[data-cell]").first.click()
        for text in HOSTILE[:2]:
            assert text[:39] in page.inner_text("#confusion")
            assert text in page.inner_text("#related")
        until(page, ALL_PICTURES)
        assert page.evaluate("document.scripts.length") == 2


def page_of(path: Path, *, ids: Sequence[str], classes: Sequence[str]) -> str:
    """The page of the tiny run as if it had these segments, of the first classes in turn, and had
    predicted the first class for all."""
    logits = np.tile(np.eye(len(classes), dtype=np.float32)[0], (len(ids), 1))
    labels = np.arange(len(ids)) % (len(classes) - 1)
    predictions = predictions_of(ids, labels, activity_logits=logits, object_logits=logits)
    return made_page(path.parent, predictions, classes)


@WITH_HOSTILE_TEXT
def test_hostile_ids_and_names_are_texts_and_many_clips_are_cut(
    chromium: Any, path: Path, tmp_path: Path, text: str
) -> None:
    out = tmp_path / "report.html"
    ids = [text, *(f"id {row}" for row in range(499))]
    html = page_of(path, ids=ids, classes=(text, "down"))
    assert not [name for name in HOSTILE[:2] if name in html]
    out.write_text(html, encoding="utf-8")
    with opened(chromium, out, width=390) as page:
        page.locator("[data-cell]").first.click()
        assert page.locator("#cell-clips .clip").count() == 200
        assert "most confident 200 of 500" in page.inner_text("#cell-text")
        first = page.locator("#cell-clips li bdi").first.text_content()
        unescaped = first.replace("\\u202e", "\u202e").replace("\\u2028", "\u2028")
        assert unescaped == text if len(text) < 150 else unescaped.startswith(text[:140])
        page.locator("#cell-clips .clip").first.click()
        assert page.text_content("#player-title") == first
        assert page.evaluate("document.images.length") == 0
        assert page.evaluate("document.scripts.length") == 2
