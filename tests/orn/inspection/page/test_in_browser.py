"""The page of a shard in a real browser."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orn.data_manifests.records import Segment
from orn.inspection.page.write import write_page
from orn.inspection.shard_videos import ActivityLabels, NoPictures
from orn.shared.masks.detections import FrameDetections
from orn.shared.pages.palette import class_color
from orn.shared.shards.shard import Shard
from tests.browser import ON_ANY_SCREEN, WITH_HOSTILE_TEXT, opened, serious_problems, until
from tests.orn.inspection.page.conftest import (
    CUP_BOX,
    LABELS,
    PERSON_BOX,
    frame,
    write,
)
from tests.worlds.shards import CUP, DETECTOR, PERSON

pytestmark = pytest.mark.timeout(200)
GRAY = np.array([118, 118, 118])


@pytest.fixture(scope="module")
def whole_page(looked_at: Shard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with labels."""
    out = tmp_path_factory.mktemp("shown") / "page"
    return write_page(looked_at, NoPictures("no videos here"), out, labels=LABELS)


def wait(page: Any, row: int) -> None:
    """Until a row of the shard is drawn."""
    until(page, f"document.documentElement.dataset.row === '{row}'")


def status(page: Any, expected: str) -> None:
    """Until the live region says this."""
    until(page, f"document.getElementById('status').textContent === {json.dumps(expected)}")


def canvas(page: Any) -> np.ndarray:
    """(H, W, 3) red, green and blue of the canvas."""
    address = page.evaluate("document.getElementById('canvas').toDataURL()")
    picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    return np.asarray(picture.convert("RGB"))


def pixel(page: Any, x: float, y: float) -> np.ndarray:
    """Red, green, blue of the canvas at a point of the grid of 80 x 60."""
    shown_HW3 = canvas(page)
    height, width, _ = shown_HW3.shape
    return shown_HW3[int(y * height / 60), int(x * width / 80)]


def painted(label: int) -> np.ndarray:
    """What a mask of this class looks like on gray."""
    return np.round(GRAY + 115 / 255 * (np.array(class_color(label)) - GRAY))


def test_it_opens_without_an_error_and_stays_in_its_folder(chromium: Any, tmp_path: Path) -> None:
    videos = {"long": [frame(CUP_BOX)] * 70, "empty": []}
    shard = write(tmp_path / "shard-000000.zarr.zip", videos)
    path = write_page(shard, NoPictures("no videos here"), tmp_path / "out", score_threshold=0.2)
    with opened(chromium, path) as page:
        wait(page, 0)
        assert page.input_value("#score") == "0.2"
        status(page, "Frame 5, 0.500 s: 1 cup")
        assert "no videos here" in page.text_content("#gray")
        page.keyboard.press("End")  # a frame in another file
        wait(page, 69)
        page.click("[data-video='1']")
        until(page, "!document.getElementById('message').hidden")
        assert "no frames of this video" in page.inner_text("#message")


def test_any_mask_is_painted_pixel_by_pixel(chromium: Any, tmp_path: Path) -> None:
    """Blobs, noise, and all of the rows below the name, on a grid that is shown as it is."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:480, :640]
    expected = [
        np.hypot(rows - 300, columns - 200) < 90 + 20 * np.sin(columns / 9),
        rng.random((480, 640)) < 0.3,
        np.ones((480, 640), np.bool_),
    ]
    masks_NHW = np.stack(expected) & (rows >= 60)
    frames = [
        replace(
            FrameDetections.from_masks(mask[None], labels=[CUP], scores=[0.9]),
            boxes=np.float32([[0, 0, 640, 480]]),
        )
        for mask in masks_NHW
    ]
    shard = write(tmp_path / "shard-000000.zarr.zip", {"a": frames}, class_scores=False)
    path = write_page(shard, NoPictures("none"), tmp_path / "page")
    with opened(chromium, path, width=600) as page:
        for row, mask in enumerate(masks_NHW):
            wait(page, row)
            colored = canvas(page)[..., 0] != GRAY[0]
            inside = slice(60, -4), slice(4, -4)  # of the outline of the box
            np.testing.assert_array_equal(colored[inside], mask[inside])
            page.click("#objects button")
            assert f"mask of {mask.sum():,} cells" in page.inner_text("#scores-text")
            page.keyboard.press("Escape")
            page.keyboard.press("ArrowRight")


def test_a_track_is_a_number_at_the_box_and_in_the_list(chromium: Any, tmp_path: Path) -> None:
    """Also one of more digits than a number in JavaScript has."""
    tracked = replace(frame(CUP_BOX, PERSON_BOX), tracks=np.array([2**62 + 1, -1]))
    untracked = replace(tracked, tracks=np.array([-1, -1]))
    shard = write(tmp_path / "shard-000000.zarr.zip", {"a": [tracked, untracked]})
    path = write_page(shard, NoPictures("none"), tmp_path / "page")
    with opened(chromium, path) as page:
        wait(page, 0)
        assert page.locator("#objects .name").all_inner_texts() == [f"cup #{2**62 + 1}", "person"]
        with_number = canvas(page)
        page.keyboard.press("ArrowRight")
        wait(page, 1)
        assert page.locator("#objects .name").all_inner_texts() == ["cup", "person"]
        assert (canvas(page) != with_number).any()


def test_links_keys_slider_and_timeline_lead_to_frames(chromium: Any, whole_page: Path) -> None:
    with opened(chromium, whole_page, "#kitchen%2Fa%20b/8") as page:
        wait(page, 3)
        assert page.inner_text("#activities").split() == ["Label", "pour"]
        page.keyboard.press("ArrowLeft")
        until(page, "location.hash === '#kitchen%2Fa%20b/7'")
        page.keyboard.press("End")
        wait(page, 9)
        assert page.inner_text("#activities").split() == ["Label", "stir"]
        page.evaluate("location.hash = '#b/6'")
        wait(page, 11)
        assert page.get_attribute("[aria-current]", "data-video") == "1"
        assert page.inner_text("#activities").split() == ["Label", "pour"]
        page.click("[data-video='0']")
        wait(page, 0)
        page.keyboard.press("ArrowRight")
        wait(page, 1)
        status(page, "Frame 6, 0.600 s: 1 cup, 1 person (2 of 3 shown)")
        page.fill("#scrub", "4")
        wait(page, 4)
        page.click("#next")
        wait(page, 5)
        status(page, "Frame 10, 1.000 s: no objects")
        page.locator(".strip canvas").scroll_into_view_if_needed()
        box = page.locator(".strip canvas").bounding_box()
        page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 20)
        wait(page, 7)


def test_the_list_of_videos_has_a_filter_and_videos_play_at_any_speed(chromium, whole_page) -> None:
    with opened(chromium, whole_page) as page:
        wait(page, 0)
        names = page.locator("[data-video]:visible .name")
        assert names.all_inner_texts() == ["kitchen/a b", "b", "empty"]
        page.fill("#find", "KITCHEN")
        assert names.all_inner_texts() == ["kitchen/a b"]
        assert page.inner_text("#found") == "1 of 3"
        page.select_option("#speed", "4")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Space")
        assert page.get_attribute("#play", "aria-label") == "Pause"
        wait(page, 9)
        until(page, "document.getElementById('play').getAttribute('aria-label') === 'Play'")


def test_a_detection_has_scores_of_all_classes_and_filters_change_what_is_shown(
    chromium: Any, whole_page: Path
) -> None:
    with opened(chromium, whole_page, "#b/6") as page:
        wait(page, 11)
        box = page.locator("#canvas").bounding_box()
        page.mouse.click(box["x"] + box["width"] * 20 / 80, box["y"] + box["height"] * 20 / 60)
        bars = page.locator("#bars li")
        assert bars.count() == 80
        assert bars.nth(0).inner_text().split() == ["cup", "0.900"]
        assert bars.nth(1).inner_text().split() == ["fork", "0.050"]
        assert bars.nth(2).inner_text().endswith("< 0.001")
        assert "mask of 400 cells" in page.inner_text("#scores-text")
        page.keyboard.press("Escape")
        assert page.is_hidden("#scores")

        np.testing.assert_allclose(pixel(page, 20, 20), painted(CUP), atol=2)
        page.locator("#classes label", has_text="cup").locator("input").uncheck()
        status(page, "Frame 6, 0.600 s: 1 person (1 of 2 shown)")
        np.testing.assert_array_equal(pixel(page, 20, 20), GRAY)
        np.testing.assert_allclose(pixel(page, 55, 35), painted(PERSON), atol=2)
        page.click("#all")
        page.fill("#score", "0.85")
        status(page, "Frame 6, 0.600 s: 1 cup (1 of 2 shown)")
        np.testing.assert_array_equal(pixel(page, 55, 35), GRAY)


@ON_ANY_SCREEN
def test_everybody_can_use_and_print_it(chromium, whole_page, width, dark) -> None:
    with opened(chromium, whole_page, "#kitchen%2Fa%20b/10", width=width, dark=dark) as page:
        wait(page, 5)
        page.keyboard.press("ArrowLeft")
        wait(page, 4)
        page.click("#objects button >> nth=0")
        page.click("summary >> nth=0")
        assert serious_problems(page) == []
        page.keyboard.press("Escape")
        page.set_viewport_size({"width": 1200, "height": 800})
        page.emulate_media(media="print", color_scheme="dark")
        ground = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(ground) == "rgb(255, 255, 255)"
        for control in ("#play", "#browse", "#classes"):
            assert page.is_hidden(control), control
        for content in ("#canvas", "#activities", "#objects", ".strip canvas"):
            assert page.is_visible(content), content
        assert serious_problems(page) == []


@WITH_HOSTILE_TEXT
def test_hostile_texts_are_texts(chromium: Any, tmp_path: Path, text: str) -> None:
    detector = replace(DETECTOR, class_names=(text,) * 80, thresholds={}, versions={})
    more = {"detector": detector, "failed": {f"{text}2": text}}
    shard = write(tmp_path / "shard-000000.zarr.zip", {text: [frame(CUP_BOX)], "b": []}, **more)
    segments = (Segment(id=text, video_id=text, split="test", labels=(0,)),)
    labels = ActivityLabels(title=text, classes=(text,), segments=segments)
    path = write_page(shard, NoPictures(text), tmp_path / "page", labels=labels)
    with opened(chromium, path, width=390) as page:
        wait(page, 0)
        page.click("#objects button >> nth=0")
        page.click("summary >> nth=0")
        shown_text = text.replace("\u202e", "\\u202e").replace("\u2028", "\\u2028")
        assert page.text_content("#video-id") == shown_text
        assert shown_text[:1000] in page.inner_text("#failed")
        assert page.evaluate("document.images.length") == 0
        assert page.evaluate("document.scripts.length") == 2
        assert shown_text[:70] in page.inner_text("#activities")
        until(page, "location.hash !== ''")
        page.keyboard.press("ArrowRight")
