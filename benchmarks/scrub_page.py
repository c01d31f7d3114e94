"""How long the page of a shard takes to show a frame.

    python -m benchmarks.scrub_page PAGE.html

Frame after frame, and from one frame to another far away, in headless Chromium without a GPU: from
the step to the frame being drawn with its picture and masks.
"""

import json
from pathlib import Path
from typing import Any

import click

from benchmarks.chromium import headless_chromium
from benchmarks.harness import describe_machine

_MEASURE = """async (most) => {
  const last = Number(document.getElementById("scrub").max);
  const timed = async (places) => {
    const times = [];
    for (const place of places) {
      const start = performance.now();
      await ornPage.show(place);
      times.push(performance.now() - start);
    }
    times.sort((one, other) => one - other);
    const share = (part) => times[Math.min(Math.floor(part * times.length), times.length - 1)];
    return { median_ms: share(0.5), p95_ms: share(0.95), most_ms: share(1) };
  };
  const count = Math.min(last + 1, most);
  const steps = Array.from({ length: count }, (_, n) => n);
  const jumps = steps.map((n) => Math.floor((n * 0.618034) % 1 * (last + 1)));
  const result = { frames: last + 1, step: await timed(steps), jump: await timed(jumps) };
  return { ...result, held: ornPage.held(), heap_bytes: performance.memory.usedJSHeapSize };
}"""


def measure_page(browser: Any, page_path: Path, *, most: int = 2000) -> dict[str, Any]:
    """Times of at most so many steps and jumps over the first video of a page."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        page.goto(page_path.resolve().as_uri())
        page.wait_for_selector("#objects li")
        measured: dict[str, Any] = page.evaluate(_MEASURE, most)
        return measured
    finally:
        page.close()


@click.command()
@click.argument("page", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--most", type=click.IntRange(1), default=2000, help="Steps, and jumps, at most.")
def scrub(page: Path, most: int) -> None:
    """Print times of PAGE as JSON."""
    with headless_chromium() as browser:
        measured = measure_page(browser, page, most=most)
    click.echo(json.dumps({**measured, "machine": describe_machine()}, indent=2))


if __name__ == "__main__":
    scrub()
