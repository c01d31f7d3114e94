"""`orn predict --html`, in a real browser."""

from pathlib import Path
from typing import Any

import pytest

from orn.prediction.predict_windows import predict_video
from orn.prediction.prediction_page import PredictionPage
from orn.prediction.prediction_records import PredictedVideo
from orn.shared.jobs.plan import FailedVideo
from orn.shared.pages.render import LARGEST_PAGE_BYTES
from orn.stage2_train.runs.trained import open_model
from tests.browser import ON_ANY_SCREEN, WITH_HOSTILE_TEXT, opened, serious_problems, until
from tests.orn.prediction.conftest import (
    Trained,
    first_video,
    predict,
    turned,
    with_classes,
)

pytestmark = pytest.mark.timeout(200)

NOT_CALIBRATED = "Percentages are not probabilities: the model is not calibrated."
LENGTH = 0.4


@pytest.fixture(scope="module")
def path(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two videos in windows and one that cannot be read."""
    folder = tmp_path_factory.mktemp("page")
    first, second = list(trained.videos.values())[:2]
    words = (folder / "absent.mp4", first, second, "--shards", trained.shards, "--window", "0.4")
    result = predict(trained, *words, "--html", folder / "out.html", exit_code=3)
    assert "decided by" not in result.stdout  # nobody asked for pairs
    assert result.stderr.count(NOT_CALIBRATED) == 1  # of two videos
    assert [file.name for file in folder.iterdir()] == ["out.html"]
    return folder / "out.html"


def page_of(model: Any, trained: Trained, windows: Any = list, **more: Any) -> PredictionPage:
    """A page of the first video, with its windows changed by a function."""
    page = PredictionPage(model=model, num_videos=1)
    with first_video(trained, model) as (video, detections):
        seen = detections.video(video.id)
        predictions = windows(predict_video(model, video, detections, window=LENGTH, pairs=2))
        named = {"name": video.id, "detections": seen} | more
        page.add(PredictedVideo(video=video, windows=predictions, **named))
    return page


def test_it_opens_without_an_error_and_lanes_lead_to_cards(chromium: Any, path: Path) -> None:
    assert path.stat().st_size < LARGEST_PAGE_BYTES
    with opened(chromium, path) as page:
        until(page, "[...document.images].every((each) => each.complete && each.naturalWidth > 8)")
        cards = page.locator(".split").count()
        assert cards == page.locator(".split img").count() >= 2
        assert "absent.mp4" in page.inner_text("header")
        assert "failed" in page.inner_text("header")
        assert NOT_CALIBRATED in page.inner_text("header")
        text = page.inner_text("#v1")
        assert "predicts this class" in text
        assert "No pair supports" in text or "drops by" in text
        page.locator("#v1 canvas").click(position={"x": 20, "y": 12})
        until(page, "location.hash.startsWith('#v1-')")
        page.locator("header tbody a").nth(1).click()
        until(page, "location.hash === '#v2'")
        page.locator("summary").click()
        assert "logit drop" in page.inner_text("details")


def test_arrow_keys_lead_through_the_windows(chromium: Any, trained, tmp_path) -> None:
    page_of(open_model(trained.run, device="cpu"), trained, turned).write(tmp_path / "out.html")
    with opened(chromium, tmp_path / "out.html") as page:
        page.locator("#v0 canvas").focus()
        ids = page.locator("#v0 .split").evaluate_all("cards => cards.map((card) => card.id)")
        for id in ids:
            page.keyboard.press("ArrowRight")
            until(page, f"location.hash === '#{id}'")
        assert len(ids) >= 2


@ON_ANY_SCREEN
def test_everybody_can_use_it(chromium: Any, path: Path, width: int, dark: bool) -> None:
    with opened(chromium, path, width=width, dark=dark) as page:
        assert serious_problems(page) == []


@WITH_HOSTILE_TEXT
def test_names_of_others_are_texts(chromium, trained, tmp_path, text) -> None:
    shown = "".join(filter(str.isprintable, text))  # others are refused with the model
    model = with_classes(open_model(trained.run, device="cpu"), shown, shown + "2")
    made = page_of(model, trained, name=text)
    made.add_failed(FailedVideo(id=text, reason=text))
    made.write(tmp_path / "out.html")
    with opened(chromium, tmp_path / "out.html", width=360) as page:
        shown = page.text_content("main").replace("\\u202e", "\u202e").replace("\\u2028", "\u2028")
        assert text[:40] in shown
        assert page.evaluate("document.scripts.length") == 2


def test_a_page_is_no_larger_than_it_may_be(trained, tmp_path, monkeypatch) -> None:
    """Then pictures are left out, and then videos, and the page says so."""
    monkeypatch.setattr("orn.prediction.prediction_page.MOST_TEXT_BYTES", 500)
    model = with_classes(open_model(trained.run, device="cpu"), "a", "b", task="multi-label")
    page, out = page_of(model, trained, name="first"), tmp_path / "out.html"
    page.add_failed(FailedVideo(id="omitted.mp4", reason="lost"))
    page.write(out)
    assert "no room for the picture" not in out.read_text()
    limit = out.stat().st_size - 100
    monkeypatch.setattr("orn.shared.pages.render.LARGEST_PAGE_BYTES", limit)
    page.write(out)
    html = out.read_text()
    assert out.stat().st_size <= limit
    assert "1 more video does not fit on this page" in html
    assert "no room for the picture" in html
    assert "omitted.mp4" not in html
