"""Make the pictures of docs/look.md after `make demo`: python docs/figures/pages.py.

Playwright must find a browser: run `playwright install chromium` or set CHROMIUM to its path.
"""

import io
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from orn.shared.video.read import read_frames

SHARD, VIDEO, FRAMES = "shards/demo/shard-000002.zarr.zip", "validation-000000", (2, 3, 5)
RUN = Path("runs/demo")
OUT = Path(__file__).parent


def save(picture: Image.Image, name: str) -> None:
    """Write a WebP file of moderate size."""
    picture.convert("RGB").save(OUT / name, quality=70, method=6)


def photograph(browser: Any, address: str, width: int, height: int, **options: Any) -> Image.Image:
    """Return the first screen of a page, with the first object of a frame selected."""
    page = browser.new_page(viewport={"width": width, "height": height}, **options)
    page.goto(address)
    if page.locator("#objects button").count():
        page.click("#objects button >> nth=0")
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(500)
    return Image.open(io.BytesIO(page.screenshot()))


with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
    drawn = Path(name) / "video.mp4"
    options = ("--video", VIDEO, "--overlay", str(drawn))
    subprocess.run(["orn", "inspect", SHARD, "--data", "data", *options], check=True)
    frames = [frame.image for frame in read_frames(drawn)]
    side_by_side = np.concatenate([frames[number] for number in FRAMES], axis=1)
    save(Image.fromarray(side_by_side), "look_masks.webp")
    browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"))
    at = f"{(RUN.resolve() / 'objects' / 'index.html').as_uri()}#{VIDEO}/{FRAMES[1]}"
    save(photograph(browser, at, 1280, 1100), "look_page.webp")
    report = (RUN.resolve() / "report.html").as_uri()
    save(photograph(browser, report, 1100, 900), "report_page.webp")
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.goto(report)
    figure = page.locator("#mistakes .cases > *").first.screenshot()
    save(Image.open(io.BytesIO(figure)), "report_figure5.webp")
