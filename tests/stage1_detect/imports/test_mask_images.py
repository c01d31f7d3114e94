"""Large PNG masks are read or refused within bounds of memory."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports.mask_images import read_masks
from orn.stage1_detect.imports.source_objects import SourceObject
from tests.bounded import bounded

SIDE = 8192


def read(path: Path) -> tuple[int, str]:
    """Return the number of objects in a file, and why it is refused."""
    pattern = re.compile(r".*/(?P<video>[^/]+)/(?P<frame>\d+)\.png")
    contents = [record.content for record in read_masks(path, pattern, {})]
    refusals = [content for content in contents if isinstance(content, ObjectImportError)]
    return sum(isinstance(own, SourceObject) for own in contents), " ".join(map(str, refusals))


def write_checkers(path: Path, side: int, period: int) -> None:
    path.parent.mkdir()
    place = np.arange(side) // period
    Image.fromarray(((place[:, None] + place) % 2).astype(np.uint8)).save(path)


def test_an_image_of_many_runs_is_refused(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a" / "00001.png"
    write_checkers(path, 8, period=2)
    assert read(path) == (1, "")
    monkeypatch.setattr("orn.stage1_detect.imports.mask_images._MOST_RUNS", 31)  # 8 columns of 4
    assert read(path)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("period", [1, 2])
def test_an_image_of_many_runs_is_refused_within_bounds(tmp_path, period) -> None:
    path = tmp_path / "a" / "00001.png"
    write_checkers(path, SIDE, period)
    number, refusal = bounded(read, path)
    assert number == 0 and "runs" in refusal


@pytest.mark.slow
def test_a_large_image_is_read_within_bounds(tmp_path) -> None:
    path = tmp_path / "a" / "00001.png"
    path.parent.mkdir()
    image_HW = np.zeros((SIDE, SIDE), np.uint16)
    image_HW[10:20], image_HW[:, 100:200] = 7, 300
    Image.fromarray(image_HW).save(path)
    assert bounded(read, path) == (2, "")
