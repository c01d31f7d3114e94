"""Pictures of pages for the documents.

    python -m orn.benchmarks.pages look SHARD --data data --out docs/figures
    python -m orn.benchmarks.pages report runs/demo --out docs/figures

In headless Chromium, off the network and without a GPU. Give it generated films only: the pictures
are published.
"""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from orn.shared.errors import ConfigError
from orn.shared.inspect.frame import find_frame
from orn.shared.inspect.labels import ActivityLabels, labels_of
from orn.shared.inspect.overlay import draw_picture
from orn.shared.inspect.page.write import write_page
from orn.shared.inspect.pictures import Pictures, dataset_of_shard, pictures_of_shard
from orn.shared.jobs.atomic_file import write_bytes
from orn.shared.shards.schema import VideoEntry
from orn.shared.shards.shard import Shard

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
_FRAMES_BESIDE = 3
_SURE = 0.95
"""Scores above it look convincing."""
_CASES = 2
"""Clips of a report's figure 5 that are shown."""
_LARGEST_BYTES = 150_000


def chromium_path() -> str | None:
    """The browser that the environment variable CHROMIUM names, else one on the path."""
    names = filter(None, (os.environ.get("CHROMIUM"), *_NAMES))
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def headless_chromium() -> Iterator[Any]:
    """A browser of Playwright's, closed at the end.

    Raises:
        ConfigError: if Playwright or Chromium is not installed.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as err:
        raise ConfigError("wanted the Python package playwright; `make setup` installs it") from err
    path = chromium_path()
    if path is None:
        raise ConfigError(
            f"wanted a browser ({', '.join(_NAMES)}) on the path, found none; install Chromium or "
            "name it in the environment variable CHROMIUM"
        )
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, headless=True, args=_OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def _opened(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    page = browser.new_page(**options)
    try:
        page.goto(address)
        yield page
    finally:
        page.close()


def shard_pictures(
    browser: Any, shard: Shard, pictures: Pictures, out: Path, *, labels: ActivityLabels
) -> list[Path]:
    """Write pictures of a shard into the folder `out`: frames with masks, and its page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = _surest(shard)
        chosen = _chosen(shard, video.id)
        beside = _frames(shard, pictures, video.id, chosen, folder)
        page = write_page(shard, pictures, folder / "page", labels=labels).path
        address = f"{page.as_uri()}#{video.id}/{chosen[1]}"
        return [
            _save(beside, out / "look_masks.webp"),
            _save(_best_object(browser, address, 1280, "light"), out / "look_page.webp"),
            _save(_best_object(browser, address, 400, "dark"), out / "look_phone.webp"),
        ]


def report_pictures(browser: Any, run: Path, out: Path) -> list[Path]:
    """Write the first screen of a run's report and its first clips into `out`."""
    clips = sorted((run / "report").glob("figure5-*.png"))[:_CASES]
    beside = np.concatenate([np.asarray(Image.open(path).convert("RGB")) for path in clips])
    return [
        _save(_first_screen(browser, run / "report.html"), out / "report_page.webp"),
        _save(Image.fromarray(beside), out / "report_figure5.webp"),
    ]


def _surest(shard: Shard) -> VideoEntry:
    """The longest video, of equally long ones that with the most sure detections."""
    is_sure, offsets = shard.array("scores") > _SURE, shard.array("frame_offsets")

    def num_sure(video: VideoEntry) -> int:
        start, stop = offsets[list(shard.video_rows(video.id))]
        return int(is_sure[start:stop].sum())

    return max(shard.videos, key=lambda each: (each.frames, num_sure(each)))


def _chosen(shard: Shard, video_id: str) -> list[int]:
    """Some frames of a video, spread over it."""
    start, stop = shard.video_rows(video_id)
    index_f = shard.frame_index()[start:stop]
    places = np.linspace(0, len(index_f) - 1, _FRAMES_BESIDE + 2)[1:-1].round().astype(int)
    return [int(index_f[place]) for place in places]


def _frames(
    shard: Shard, pictures: Pictures, video_id: str, chosen: Sequence[int], folder: Path
) -> Image.Image:
    """Frames of a video beside each other."""
    drawn = []
    for index in chosen:
        frame = find_frame(shard, video_id=video_id, index=index)
        path = folder / f"{index}.png"
        draw_picture(frame, pictures, path, score_threshold=0.5)
        drawn.append(np.asarray(Image.open(path)))
    return Image.fromarray(np.concatenate(drawn, axis=1))


def _best_object(browser: Any, address: str, width: int, scheme: str) -> Image.Image:
    """The page at a frame, its best object chosen."""
    viewport = {"width": width, "height": 1100 if width > 800 else 860}
    with _opened(browser, address, viewport=viewport, color_scheme=scheme) as page:
        page.click("#objects button >> nth=0")
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(500)
        return Image.open(io.BytesIO(page.screenshot()))


def _first_screen(browser: Any, path: Path) -> Image.Image:
    """Return what a report shows before anybody scrolls."""
    viewport = {"width": 1100, "height": 900}
    with _opened(browser, path.resolve().as_uri(), viewport=viewport) as page:
        return Image.open(io.BytesIO(page.screenshot()))


def _save(picture: Image.Image, path: Path) -> Path:
    """Writes a WebP that is small enough to be kept."""
    for quality in (85, 70, 55, 40):
        held = io.BytesIO()
        picture.convert("RGB").save(held, format="WEBP", quality=quality, method=6)
        if held.tell() <= _LARGEST_BYTES:
            break
    write_bytes(path, held.getvalue())
    return path


@click.group()
def main() -> None:
    """Photograph pages."""


_out = click.option("--out", type=click.Path(path_type=Path), default=Path("docs/figures"))


def _tell(paths: Sequence[Path]) -> None:
    for path in paths:
        click.echo(f"{path} {path.stat().st_size:,} bytes")


@main.command()
@click.argument("shard", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--data", "data_root", type=click.Path(path_type=Path), default=Path("data"))
@_out
def look(shard: Path, data_root: Path, out: Path) -> None:
    """Make the pictures of docs/look.md and the README, of SHARD."""
    pictures = pictures_of_shard(shard, None, data_root)
    labels = labels_of(dataset_of_shard(shard, None), data_root)
    with headless_chromium() as browser:
        _tell(shard_pictures(browser, Shard(shard), pictures, out, labels=labels))


@main.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@_out
def report(run: Path, out: Path) -> None:
    """Make the pictures of RUN, which has a report."""
    with headless_chromium() as browser:
        _tell(report_pictures(browser, run, out))


if __name__ == "__main__":
    main()
