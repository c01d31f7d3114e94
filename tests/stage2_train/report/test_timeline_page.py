"""The page of a long film: what it shows, and what a person corrects, in a real browser."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.stage2_train.report.timeline_page import (
    ShownInterval,
    Timeline,
    worth_looking_at,
    write_timeline,
)
from tests.browser import (
    ON_ANY_SCREEN,
    WITH_HOSTILE_TEXT,
    downloaded,
    opened,
    serious_problems,
    until,
)
from tests.worlds.videos import write_numbered

pytestmark = pytest.mark.timeout(200)
SECONDS = 20.0


def shown(start: float, stop: float, label: str, probability: float) -> ShownInterval:
    objects = (("cup", 0.75), ("hand", 0.25))
    return ShownInterval(
        start=start, stop=stop, label=label, probability=probability, objects=objects
    )


def timeline(*classes: str, **more: Any) -> Timeline:
    """Twenty seconds with two intervals of the first class and one of the second."""
    classes = classes or ("open", "close", "wait")
    first, second = classes[:2]
    times_N = np.arange(0, SECONDS, 0.1)
    probability_NC = np.full((len(times_N), len(classes)), 0.05, np.float32)
    probability_NC[(times_N >= 2) & (times_N < 4), 0] = 0.9
    values = {
        "video": "films/a.mp4",
        "film": None,
        "duration": SECONDS,
        "classes": classes,
        "times": times_N,
        "probabilities": probability_NC,
        "intervals": (
            shown(2, 4, first, 0.9),
            shown(8, 10, second, 0.6),
            shown(14, 16, first, 0.7),
        ),
    }
    return Timeline(**(values | more))


def test_contradicted_and_uncertain_intervals_come_first() -> None:
    found = ((2.5, 4.0, "open"), (8.0, 9.0, "open"), (13.0, 15.2, "open"), (8.9, 10.1, "close"))
    rows = worth_looking_at(timeline(found=found))
    assert [(row["start"], row["given"], row["why"]) for row in rows] == [
        (8.0, -1, "not listed"),
        (13.0, -1, "not listed"),  # the overlap is 1.2 of 3 s
        (14, 2, "not found"),
        (8, 1, "60 %"),  # the overlap is 1.1 of 2.1 s
        (2, 0, "90 %"),
    ]
    assert [row["given"] for row in worth_looking_at(timeline())] == [1, 2, 0]


@pytest.fixture
def page_path(tmp_path: Path) -> Path:
    """The page beside its film."""
    write_numbered(tmp_path / "a film.mp4", int(10 * SECONDS))
    write_timeline(tmp_path / "index.html", timeline(film="a film.mp4"))
    return tmp_path / "index.html"


def at(page: Any, seconds: float, line: int) -> tuple[float, float]:
    """Where a time of the whole film is in a row, on the screen."""
    box = page.locator("#lanes canvas").bounding_box()
    return box["x"] + seconds / SECONDS * box["width"], box["y"] + 24 * line + 12


def saved(page: Any, folder: Path) -> list[tuple[str, ...]]:
    name, rows = downloaded(page, "#save", folder)
    assert name == "a.corrections.csv"
    assert all(row.keys() == {"video", "start", "stop", "label"} for row in rows)
    return [tuple(row.values()) for row in rows]


def test_a_click_seeks_and_the_cursor_follows_the_film(chromium: Any, page_path: Path) -> None:
    with opened(chromium, page_path) as page:
        film = "document.getElementById('film')"
        until(page, f"!{film}.hidden")
        page.mouse.click(*at(page, 15, 0))
        until(page, f"Math.abs({film}.currentTime - 15) < 0.1 && !{film}.seeking")
        assert page.inner_text("#editor-text") == "open, 0:14.00 to 0:16.00, probability 70 %"
        assert page.locator("#objects li").all_inner_texts() == ["cup\n75 %", "hand\n25 %"]
        cursor = page.locator("#lanes .cursor").bounding_box()
        assert cursor["x"] + 1 == pytest.approx(at(page, 15, 0)[0], abs=2)
        page.keyboard.press("PageUp")
        until(page, f"Math.abs({film}.currentTime - 5) < 0.1")
        page.keyboard.press(" ")
        until(page, f"{film}.currentTime > 5.3")
        page.keyboard.press(" ")
        until(page, f"{film}.paused")
        page.mouse.click(*at(page, 19, 1))
        assert page.is_hidden("#editor")


def test_intervals_are_moved_deleted_added_and_saved(chromium, page_path, tmp_path) -> None:
    with opened(chromium, page_path) as page:
        until(page, "!document.getElementById('film').hidden")
        assert page.locator("#worth .value").all_inner_texts()[1::2] == ["60 %", "70 %", "90 %"]
        x, y = at(page, 4, 0)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(*at(page, 5, 0))
        page.mouse.move(*at(page, 6, 0))
        page.mouse.up()
        assert float(page.input_value("#stop")) == pytest.approx(6, abs=0.1)
        page.fill("#stop", "6.25")
        page.locator("#stop").press("Enter")
        page.keyboard.press("Escape")
        page.click("#worth button >> nth=0")  # the one with 60 %
        page.click("#accept")
        page.click("#worth button >> nth=1")
        page.click("#delete")
        assert page.locator("#worth button.off").count() == 3
        page.click("#whole")
        page.mouse.click(*at(page, 17, 1))
        page.keyboard.press("a")
        assert page.inner_text("#editor-text").startswith("close, ")  # as the row that was clicked
        page.select_option("#label", label="wait")
        page.fill("#stop", "19")
        page.fill("#start", "17.5")
        page.locator("#start").press("Tab")
        expected = [
            ("films/a.mp4", "2.000", "6.250", "open"),
            ("films/a.mp4", "8.000", "10.000", "close"),
            ("films/a.mp4", "17.500", "19.000", "wait"),
        ]
        assert saved(page, tmp_path) == expected
        assert "Saved 3 intervals" in page.inner_text("#status")
        page.reload()
        assert saved(page, tmp_path) == expected
        page.mouse.click(*at(page, 18, 2))
        page.keyboard.press("Delete")
        page.keyboard.press("u")
        assert saved(page, tmp_path) == expected


def test_keys_do_all_of_it_and_no_interval_is_a_row_of_its_own(
    chromium, page_path, tmp_path
) -> None:
    with opened(chromium, page_path) as page:
        until(page, "!document.getElementById('film').hidden")
        page.keyboard.press("w")
        assert page.inner_text("#editor-text").startswith("close, 0:08.00")
        for key in ("ArrowRight", "ArrowRight", "[", "w"):
            page.keyboard.press(key)
        assert page.inner_text("#editor-text").startswith("open, 0:14.00")
        page.keyboard.press("Enter")
        assert ("films/a.mp4", "8.200", "10.000", "close") in saved(page, tmp_path)
        for key in ("p", "Delete", "n", "Delete", "p", "Delete"):
            page.keyboard.press(key)
        assert saved(page, tmp_path) == [("films/a.mp4", "", "", "")]


def test_missed_intervals_are_added_and_overlaps_are_not_saved(chromium, tmp_path) -> None:
    found = ((2, 4, "open"), (8.5, 12, "of others"), (8, 10, "close"), (14, 16, "open"))
    write_timeline(tmp_path / "a.html", timeline(found=found, observed=((0, 18),)))
    with opened(chromium, tmp_path / "a.html") as page:
        page.click("#worth button >> nth=0")
        page.click("#add")
        assert page.inner_text("#editor-text").startswith("of others, 0:08.50 to 0:12.00")
        page.click("#save")
        assert "must not overlap" in page.inner_text("#status")
        page.click("#delete")
        assert len(saved(page, tmp_path)) == 3
        page.mouse.click(*at(page, 3, 0))
        page.keyboard.press("a")  # of the same class
        assert len(saved(page, tmp_path)) == 4
        assert page.is_hidden("#film")
        page.set_input_files("#file", write_numbered(tmp_path / "elsewhere.mp4", 9))
        until(page, "!document.getElementById('film').hidden")


def test_two_hours_are_drawn_by_pixels(chromium: Any, tmp_path: Path) -> None:
    """A canvas of a thousand columns takes no rectangle a grid time."""
    names, times_N = tuple(f"class {index}" for index in range(8)), np.arange(72_000) / 10
    rng = np.random.default_rng(0)
    starts = np.sort(rng.uniform(0, 7190, 1500))
    long = timeline(
        *names,
        duration=7200.0,
        times=times_N,
        probabilities=rng.random((72_000, 8)).astype(np.float32),
        intervals=tuple(
            shown(start, start + 2, names[row % 8], 0.5) for row, start in enumerate(starts)
        ),
    )
    write_timeline(tmp_path / "a.html", long)
    assert (tmp_path / "a.html").stat().st_size < 2_000_000
    with opened(chromium, tmp_path / "a.html") as page:
        page.evaluate(
            "const own = CanvasRenderingContext2D.prototype, fill = own.fillRect; window.fills = 0;"
            "own.fillRect = function (...box) { window.fills++; fill.apply(this, box); }; 0"
        )
        page.click("#whole")
        columns = page.evaluate("document.querySelector('#lanes canvas').width")
        assert 0 < page.evaluate("fills") <= 8 * (columns + 2) + 1500
        for _ in range(3):
            page.click("#closer")
        assert page.inner_text(".times span >> nth=2") == "15:00.00"
        page.fill("#pan", "1")
        assert page.inner_text(".times span >> nth=2") == "120:00.00"
        assert "120:00.0 min" in page.inner_text("header")
        page.keyboard.press("w")  # where the focus is on the slider
        page.click("#accept")
        page.click("h1")
        for _ in range(40):
            page.keyboard.press("w")
            page.keyboard.press("Enter")
        part, whole = (
            page.locator(name).bounding_box() for name in ("#worth [aria-pressed=true]", "#worth")
        )
        assert whole["y"] <= part["y"] <= whole["y"] + whole["height"] - part["height"]
        assert page.evaluate("window.scrollY") == 0


@WITH_HOSTILE_TEXT
def test_names_of_others_are_texts(chromium: Any, tmp_path: Path, text: str) -> None:
    hostile = timeline(text, f"{text}2", video=text, film="../<b>.mp4?x#y", update_command=text)
    objects = tuple(replace(own, objects=((text, 1.0),)) for own in hostile.intervals)
    write_timeline(tmp_path / "index.html", replace(hostile, intervals=objects, film=None))
    with opened(chromium, tmp_path / "index.html", width=360) as page:
        page.click("#worth button >> nth=0")
        shown = text.replace("\u202e", "\\u202e").replace("\u2028", "\\u2028")
        assert shown[:50] in page.inner_text("#worth")
        assert shown[:50] in page.inner_text("#editor-text")
        assert page.evaluate("document.images.length") == 0
        assert page.evaluate("document.scripts.length") == 2
    write_timeline(tmp_path / "index.html", hostile)
    assert '"../%3Cb%3E.mp4%3Fx%23y"' in (tmp_path / "index.html").read_text()


@ON_ANY_SCREEN
def test_everybody_can_use_it(chromium: Any, tmp_path: Path, width: int, dark: bool) -> None:
    found = ((2, 4, "open"), (8, 10, "wait"))
    write_timeline(tmp_path / "a.html", timeline(found=found, update_command="orn manifest update"))
    with opened(chromium, tmp_path / "a.html", width=width, dark=dark) as page:
        page.click("#worth button >> nth=1")
        assert serious_problems(page) == []
