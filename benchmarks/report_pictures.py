"""The pictures of a run's report for the documents, from a run of the demo.

    orn report runs/demo
    python -m benchmarks.report_pictures runs/demo --out docs/figures

Give it runs on generated films only: the pictures are published.
"""

import io
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

from benchmarks.chromium import headless_chromium
from benchmarks.look_pictures import save_picture

_CASES = 2
"""Clips of figure 5 that are shown."""


def make_pictures(browser: Any, run: Path, out: Path) -> list[Path]:
    """Writes the page of a run, its first graph and its first clips into the folder `out`."""
    files = sorted((run / "report").glob("*.png"))
    graphs = [path for path in files if path.name.startswith("figure4-")]
    clips = [path for path in files if path.name.startswith("figure5-")][:_CASES]
    beside = np.concatenate([np.asarray(Image.open(path).convert("RGB")) for path in clips])
    return [
        save_picture(_photograph(browser, run / "report.html"), out / "report_page.webp"),
        save_picture(Image.open(graphs[0]), out / "report_figure4.webp"),
        save_picture(Image.fromarray(beside), out / "report_figure5.webp"),
    ]


def _photograph(browser: Any, path: Path) -> Image.Image:
    """The confusion matrix with the clips of its largest mistake."""
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    try:
        page.goto(path.resolve().as_uri())
        counts = page.locator("[data-cell]").all()
        wrong = [
            each for each in counts if len(set(each.get_attribute("data-cell").split("-"))) > 1
        ]
        max(wrong or counts, key=lambda each: int(each.inner_text())).click()
        page.evaluate("document.getElementById('confusion').scrollIntoView()")
        return Image.open(io.BytesIO(page.screenshot()))
    finally:
        page.close()


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/figures"))
def make(run: Path, out: Path) -> None:
    """Make the pictures of RUN, which has a report."""
    with headless_chromium() as browser:
        for path in make_pictures(browser, run, out):
            click.echo(f"{path} {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    make()
