"""`orn predict --html`, in a real browser."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from orn.shared.jobs.plan import FailedVideo
from orn.shared.pages.palette import class_colour, css_colour
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.predict.page import (
    LARGEST_PAGE_BYTES,
    PredictionPage,
    window_pictures,
)
from orn.stage2_train.predict.truth import TrueSegment
from orn.stage2_train.predict.video import predict_detected
from orn.stage2_train.predict.windows import WindowChoice
from orn.stage2_train.runs.trained import open_model
from tests.browser import ON_ANY_SCREEN, WITH_HOSTILE_TEXT, opened, serious_problems, until
from tests.predict_videos.conftest import (
    Trained,
    first_video,
    predict,
    segments_of,
    turned,
    with_classes,
)

pytestmark = pytest.mark.timeout(200)

IN_WINDOWS = WindowChoice(seconds=0.4, stride_seconds=0.2)


@pytest.fixture(scope="module")
def path(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two videos in windows and one that cannot be read."""
    folder = tmp_path_factory.mktemp("page")
    first, second = list(trained.videos.values())[:2]
    words = (first, second, folder / "absent.mp4", "--shards", trained.shards, "--window", "0.4")
    result = predict(trained, *words, "--html", folder / "out.html", exit_code=3)
    assert "decided by" not in result.stdout  # nobody asked for pairs
    assert [each.name for each in folder.iterdir()] == ["out.html"]
    return folder / "out.html"


def add_to(page: PredictionPage, trained: Trained, name: str) -> None:
    """Adds the first video under another name."""
    with first_video(trained, page.model) as (video, detections):
        windows = list(predict_detected(page.model, video, detections, choice=IN_WINDOWS, pairs=2))
        said = list(segments_of(windows, multi_label=page.model.is_multi_label))
        page.add(name, video, detections.video(video.id), windows, said)


def test_it_opens_without_an_error_and_stretches_lead_to_their_pictures(
    chromium: Any, path: Path
) -> None:
    assert path.stat().st_size < LARGEST_PAGE_BYTES
    with opened(chromium, path, "#cell/0/0") as page:
        until(page, "[...document.images].every((each) => each.complete && each.naturalWidth > 8)")
        cards = page.locator(".card").count()
        assert cards == page.locator(".track a").count() >= 2
        assert page.locator(".card img").count() == cards
        assert page.title() == "run \u2013 predictions"
        assert "absent.mp4" in page.inner_text("header")
        assert "failed: " in page.inner_text("header")
        text = page.inner_text("#v0")
        assert "predicts this class" in text
        assert "No pair supports" in text or "drops by" in text
        links = page.locator("#v1 .track a")
        assert links.count() == page.locator("#v1 tbody tr").count() > 0
        for number in range(links.count()):
            links.nth(number).press("Enter")
            until(page, "document.querySelector('#v1 .card:target') !== null")
        page.locator("header tbody a").nth(1).click()
        until(page, "location.hash === '#v1'")
        page.locator("#v1 .card .clip").first.click()
        assert page.is_visible("#player")
        first = page.evaluate("document.querySelector('#player-stage svg').place")
        until(page, f"document.querySelector('#player-stage svg').place !== {first}")


def test_bars_name_what_is_predicted_with_one_number_a_stretch(
    chromium: Any, trained: Trained, tmp_path: Path
) -> None:
    model = open_model(trained.run, device="cpu")
    made = PredictionPage(model=model, num_videos=1)
    with first_video(trained, model) as (video, detections):
        windows = turned(predict_detected(model, video, detections, choice=IN_WINDOWS, pairs=2))
        segments = list(segments_of(windows))
        truth = [TrueSegment(times=TimeRange(0, 0.3), names=("right",))]
        made.add(video.id, video, detections.video(video.id), windows, segments, truth)
    made.write(tmp_path / "out.html")
    predicted = [model.classes[each.labels[0]] for each in segments]
    assert len(set(predicted)) == 2
    with opened(chromium, tmp_path / "out.html") as page:
        bars = page.locator("[aria-label=Predicted] a")
        for number, (segment, name) in enumerate(zip(segments, predicted, strict=True)):
            (label,) = segment.labels
            mean = f"{100 * segment.probabilities[label]:.0f} %"
            assert bars.nth(number).locator("text").text_content() == f"{name} {mean}"
            title = bars.nth(number).locator("title").text_content()
            for each in windows:
                if each.start_seconds < segment.stop_seconds <= each.stop_seconds:
                    assert f"{100 * each.probabilities[label]:.0f} %" in title
            assert page.locator(".card h3").nth(number).inner_text().endswith(f"{name} {mean}")
        colours = page.evaluate(
            "[...document.querySelectorAll('.lane path')].map((each) => each.getAttribute('fill'))"
        )
        assert len(set(colours)) == len(colours) >= 2
        objects = {css_colour(class_colour(label)) for label in range(80)}
        assert not objects & set(colours)
        assert "right" in page.locator("[aria-label=True] text").first.text_content()


@ON_ANY_SCREEN
def test_everybody_can_use_it(chromium: Any, path: Path, width: int, dark: bool) -> None:
    with opened(chromium, path, width=width, dark=dark) as page:
        assert serious_problems(page) == []


@WITH_HOSTILE_TEXT
def test_names_of_others_are_texts(
    chromium: Any, trained: Trained, tmp_path: Path, text: str
) -> None:
    model = with_classes(open_model(trained.run, device="cpu"), text, text + "2")
    made = PredictionPage(model=model, num_videos=1)
    add_to(made, trained, text)
    made.add_failed(FailedVideo(id=text, reason=text))
    made.write(tmp_path / "out.html")
    with opened(chromium, tmp_path / "out.html", width=360) as page:
        assert text[:40] in page.text_content("main").replace("\\u202e", "\u202e").replace(
            "\\u2028", "\u2028"
        )
        assert page.evaluate("document.scripts.length") == 2


def test_frames_are_shown_with_their_own_objects(trained: Trained) -> None:
    model = open_model(trained.run, device="cpu")
    with first_video(trained, model) as (video, detections):
        window = next(predict_detected(model, video, detections, pairs=2))
        seen = detections.video(video.id)
        recorded = Mock(wraps=seen, video=seen.video)
        _, strip = window_pictures(model, video, recorded, window, key="v0", rank=0)
    assert strip.frames == len(window.frames) < seen.num_frames  # so that the next one is another
    rows = [call.args[0] for call in recorded.frame.call_args_list]
    assert sorted(rows) == list(window.frames)


def test_a_page_is_no_larger_than_it_may_be(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then pictures are left out, and then videos, and the page says so."""
    monkeypatch.setattr("orn.stage2_train.predict.page.MOST_TEXT_BYTES", 500)
    monkeypatch.setattr("orn.stage2_train.predict.page.LARGEST_PAGE_BYTES", 27_000)
    model = with_classes(open_model(trained.run, device="cpu"), "a", "b", task="multi-label")
    page = PredictionPage(model=model, num_videos=3)
    add_to(page, trained, "first")
    add_to(page, trained, "second")
    page.add_failed(FailedVideo(id="third", reason="lost"))
    page.write(tmp_path / "out.html")
    html = (tmp_path / "out.html").read_text()
    assert len(html.encode()) <= 27_000
    assert "2 more videos do not fit on this page" in html
    assert "no room for the picture" in html
    assert "second" not in html
