"""Photographing pages."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from orn.benchmarks.pages import chromium_path, report_pictures, shard_pictures
from tests.browser import chromium
from tests.shared.inspect.page.conftest import ALL, LABELS, frame, write
from tests.shared.inspect.page.test_write import Noise

__all__ = ["chromium"]


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    return write(tmp_path / "shard-000000.zarr.zip", {"a": [frame(*ALL)] * 6})


@pytest.mark.slow  # the quick sibling: test_a_report_is_photographed
def test_a_shard_is_photographed(chromium: Any, shard: Path, tmp_path: Path) -> None:
    paths = shard_pictures(chromium, shard, Noise(), tmp_path / "out", labels=LABELS)
    assert [Image.open(path).width for path in paths] == [3 * 560, 1280, 400]
    assert max(path.stat().st_size for path in paths) <= 150_000


def test_a_report_is_photographed(chromium: Any, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    for name in ("figure5-1.png", "figure5-2.png"):
        Image.effect_noise((300, 100), 50).save(tmp_path / "report" / name)
    (tmp_path / "report.html").write_text("<p>82 % of 320 videos")
    paths = report_pictures(chromium, tmp_path, tmp_path / "out")
    assert [Image.open(path).size for path in paths] == [(1100, 900), (300, 200)]


def test_without_a_browser_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", "no-such-browser")
    monkeypatch.setenv("PATH", "")
    assert chromium_path() is None
