"""A headless Chromium off the network, for measuring and photographing pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.errors import ConfigError

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


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
