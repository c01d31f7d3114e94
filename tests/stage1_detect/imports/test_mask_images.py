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


@pytest.mark.parametrize("period", [1, 2])
def test_an_image_of_many_runs_is_refused_within_bounds(tmp_path, period) -> None:
    path = tmp_path / "a" / "00001.png"
    path.parent.mkdir()
    place = np.arange(SIDE) // period
    Image.fromarray(((place[:, None] + place) % 2).astype(np.uint8)).save(path)
    number, refusal = bounded(read, path)
    assert number == 0 and "runs" in refusal


def test_a_large_image_is_read_within_bounds(tmp_path) -> None:
    path = tmp_path / "a" / "00001.png"
    path.parent.mkdir()
    image_HW = np.zeros((SIDE, SIDE), np.uint16)
    image_HW[10:20], image_HW[:, 100:200] = 7, 300
    Image.fromarray(image_HW).save(path)
    assert bounded(read, path) == (2, "")
