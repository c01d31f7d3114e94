"""A small data set in the form of a table, and files that look like its videos."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worlds import tables

MANIFEST = tables.MANIFEST.format(
    name="mine",
    title="My data set",
    form="clips",
    task="single-label",
    metric="top1",
    pattern="videos/{id}.mp4",
)

TABLE = """video,label,split
a,open,train
b,close,validation
c,open,test
"""


@pytest.fixture
def write() -> Callable[[Path, str], Path]:
    """Writes a file and the folders above it."""

    def write_file(path: Path, text: str = "") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


@pytest.fixture
def mine(tmp_path: Path, write) -> Path:
    """Manifest file of a data set with two of three videos, under the data root `tmp_path`."""
    write(tmp_path / "mine" / "labels.csv", TABLE)
    write(tmp_path / "mine" / "classes.txt", "open\nclose\n")
    for video_id in ("a", "b"):
        write(tmp_path / "mine" / "videos" / f"{video_id}.mp4")
    return write(tmp_path / "mine.toml", MANIFEST)
