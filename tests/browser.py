"""A real browser for the pages that the project writes: headless Chromium, off the network."""

import csv
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
_LIMIT_MS = 20_000
"""Of each step in a page; the machine may be busy with other tests."""

ON_ANY_SCREEN = pytest.mark.parametrize(
    ("width", "dark"),
    [
        pytest.param(360, True, id="dark-phone"),
        pytest.param(1200, False, id="light", marks=pytest.mark.slow),
        pytest.param(1200, True, id="dark", marks=pytest.mark.slow),
        pytest.param(360, False, id="light-phone", marks=pytest.mark.slow),
    ],
)

HOSTILE = ["<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "../../x",
           "' onfocus='alert(3)' autofocus x='", "{{SCRIPT}}{{DATA}}",
           "\u202eabc\u2028", "x" * 10_000]  # fmt: skip
"""Names that others may give to what a page shows."""

WITH_HOSTILE_TEXT = pytest.mark.parametrize("text", ["".join(HOSTILE)], ids=["all"])


@contextmanager
def headless_chromium() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (make setup)")
    path = next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), *_NAMES))), None)
    if path is None:
        pytest.skip("needs Chromium: install it, or name it in the environment variable CHROMIUM")
    with api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, headless=True, args=_OPTIONS)
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Any,
    path: Path,
    place: str = "",
    *,
    width: int = 1200,
    dark: bool = False,
) -> Iterator[Any]:
    """A page opened from the disk, `place` being what follows its name, such as `#video/3`.

    Until the end it must log no error, open no dialog, be no wider than the screen, and load
    nothing but itself and, if it is the index of a folder, files of this folder.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
    )
    context.set_default_timeout(_LIMIT_MS)
    page, problems, requests = context.new_page(), [], []

    def dismiss(dialog: Any) -> None:
        problems.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def log(message: Any) -> None:
        if message.type == "error":
            problems.append(message.text)

    page.on("console", log)
    page.on("dialog", dismiss)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(f"failed {request.url[:99]}"))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.resolve().as_uri() + place)
    yield page
    assert not problems, problems
    own = path.parent if path.name == "index.html" else path
    assert [
        url for url in requests if not url.startswith((own.resolve().as_uri(), "data:", "blob:"))
    ] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def until(page: Any, condition: str) -> None:
    """Waits for a condition in JavaScript; Playwright's own way is what the page's policy forbids.

    Fails where it does not come true.
    """
    came_true = page.evaluate(
        f"""async () => {{
            for (const end = Date.now() + {_LIMIT_MS}; Date.now() < end;) {{
                if ({condition}) return true;
                await new Promise((resume) => setTimeout(resume, 10));
            }}
            return false;
        }}"""
    )
    assert came_true, condition


def downloaded(page: Any, button: str, folder: Path) -> tuple[str, list[dict[str, str]]]:
    """Name and rows of the CSV file that a button saves."""
    with page.expect_download() as download:
        page.click(button)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    with path.open(encoding="utf-8", newline="") as file:
        return path.name, list(csv.DictReader(file))


def serious_problems(page: Any) -> list[str]:
    """What axe-core finds in a page that keeps people out."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    violations = axe.Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
