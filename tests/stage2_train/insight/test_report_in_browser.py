"""The page of a run in a real browser."""

from pathlib import Path
from typing import Any

import pytest

from orn.stage2_train.insight.report_page import (
    CellClips,
    Picture,
    ReportPage,
    Section,
    shown,
    table,
)
from tests.browser import (
    HOSTILE,
    ON_ANY_SCREEN,
    WITH_HOSTILE_TEXT,
    opened,
    serious_problems,
    until,
)
from tests.running import run_orn
from tests.stage2_train.insight.conftest import EVAL_OPTIONS

CELL = (
    '<button data-cell="0-0">2</button><section id="cell"><h3 id="cell-title" tabindex=0>'
    '</h3><p id="cell-text"></p><ul id="cell-clips"></ul></section>'
)
pytestmark = pytest.mark.timeout(200)


def report(run: Path) -> Path:
    run_orn("report", run, *EVAL_OPTIONS)
    return run / "report.html"


@pytest.fixture(scope="module")
def path(train_tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a tiny run."""
    return report(train_tiny(tmp_path_factory.mktemp("shown")))


def test_it_opens_without_an_error_and_asks_for_nothing(chromium: Any, path: Path) -> None:
    with opened(chromium, path) as shown_page:
        page = shown_page.page
        until(page, "[...document.images].every((each) => each.complete && each.naturalWidth > 8)")
        assert page.evaluate("document.images.length") >= 7
        assert page.title() == "run \u2013 report"
        for place in ("scores", "confusion", "figure4", "figure5", "figure6", "made"):
            page.click(f"nav a[href='#{place}']")
            until(page, f"location.hash === '#{place}'")
        assert shown_page.problems == []
        addresses = {each for each in shown_page.requests if not each.startswith("data:")}
        assert {each.split("#")[0] for each in addresses} == {path.resolve().as_uri()}


def test_cells_open_the_clips_behind_them(chromium: Any, path: Path) -> None:
    with opened(chromium, path) as shown_page:
        page = shown_page.page
        assert page.is_hidden("#cell")
        buttons = page.locator("[data-cell]")
        total = 0
        for number in range(buttons.count()):
            button = buttons.nth(number)
            button.click()
            count = int(button.inner_text())
            assert page.locator("#cell-clips li").count() == count
            assert page.locator("#cell-clips img").count() == count
            assert button.get_attribute("aria-pressed") == "true"
            assert page.locator("[aria-pressed=true]").count() == 1
            assert page.evaluate("document.activeElement.id") == "cell-title"
            total += count
        assert total == 4
        assert "film/" in page.inner_text("#cell-clips")
        key = buttons.first.get_attribute("data-cell")
        page.evaluate(f"location.hash = '#cell/{key.replace('-', '/')}'")
        until(page, f"document.querySelector('[data-cell=\"{key}\"]').ariaPressed === 'true'")
        page.evaluate("location.hash = '#cell/77/9'")
        until(page, "document.getElementById('cell').hidden")
        buttons.first.press("Enter")
        until(page, "!document.getElementById('cell').hidden")
        assert shown_page.problems == []
    with opened(chromium, path, f"#cell/{key.replace('-', '/')}") as shown_page:
        assert shown_page.page.is_visible("#cell")


@ON_ANY_SCREEN
def test_everybody_can_use_it(chromium: Any, path: Path, width: int, dark: bool) -> None:
    with opened(chromium, path, width=width, dark=dark) as shown_page:
        page = shown_page.page
        assert serious_problems(page) == []
        page.locator("[data-cell]").first.click()
        for place in range(page.locator("summary").count()):
            page.locator("summary").nth(place).click()
        assert serious_problems(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_printing_opens_what_is_folded(chromium: Any, path: Path) -> None:
    with opened(chromium, path) as shown_page:
        page = shown_page.page
        assert page.locator("details.print[open]").count() == 0
        assert page.pdf()[:4] == b"%PDF"
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        count = page.locator("details.print").count()
        assert page.locator("details.print[open]").count() == count > 0
        page.emulate_media(media="print")
        assert page.is_hidden("nav")


def test_hostile_class_names_are_texts(chromium: Any, train_tiny: Any, tmp_path: Path) -> None:
    run = train_tiny(tmp_path, names=(HOSTILE[0], HOSTILE[1]))
    path = report(run)
    with opened(chromium, path, width=360) as shown_page:
        page = shown_page.page
        page.locator("[data-cell]").first.click()
        for text in HOSTILE[:2]:
            assert text in page.inner_text("#scores")
            assert text in page.inner_text("#confusion")
            assert text in page.inner_text("#figure4")
        until(page, "[...document.images].every((each) => each.complete && each.naturalWidth > 8)")
        assert page.evaluate("document.scripts.length") == 2
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert shown_page.problems == []
    assert {each.parent for each in (run / "report").iterdir()} == {run / "report"}


@WITH_HOSTILE_TEXT
def test_hostile_ids_and_titles_are_texts(chromium: Any, tmp_path: Path, text: str) -> None:
    page = ReportPage(title=text, lead=shown(text), clips={0: (text, text), 1: ("b", text)})
    picture = Picture(
        key="a", data=b"<svg xmlns='http://www.w3.org/2000/svg'/>", media="image/svg+xml",
        alt=text + "\"'", file=text, rank=0, graph=True,
    )  # fmt: skip
    parts = [table((shown(text),), [[shown(text)]], name=text + '"'), picture]
    page.sections = [Section(id="scores", title=text, parts=[*parts, CELL])]
    page.cells = [CellClips(row=0, column=0, title=text, clips=[0, 1])]
    path = tmp_path / "report.html"
    path.write_text(page.html(500_000), encoding="utf-8")
    with opened(chromium, path, width=360) as shown_page:
        shown_page.page.click("[data-cell]")
        first = shown_page.page.locator("#cell-clips li bdi").first.text_content()
        told = first.replace("\\u202e", "\u202e").replace("\\u2028", "\u2028")
        assert told == text if len(text) < 200 else told == f"{text[:159]}\u2026"
        assert shown_page.page.evaluate("document.scripts.length") == 2
        assert shown_page.page.evaluate("document.images.length") == 1
        assert shown_page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert shown_page.problems == []


def test_many_clips_behind_a_cell_are_cut(chromium: Any, tmp_path: Path) -> None:
    page = ReportPage(title="many", lead="", clips={row: (f"id {row}", "x") for row in range(500)})
    page.sections = [Section(id="cells", title="cells", parts=[CELL])]
    page.cells = [CellClips(row=0, column=0, title="all", clips=range(500))]
    path = tmp_path / "report.html"
    path.write_text(page.html(100_000), encoding="utf-8")
    with opened(chromium, path) as shown_page:
        shown_page.page.click("[data-cell]")
        assert shown_page.page.locator("#cell-clips li").count() == 200
        assert "surest 200 of 500" in shown_page.page.inner_text("#cell-text")
