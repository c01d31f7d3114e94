"""COCO results, as pycocotools reads them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from orn.shared.errors import PipelineError
from orn.shared.masks.coco_classes import COCO_CATEGORY_IDS, COCO_CLASSES
from orn.shared.shards.detection_folder import DetectionFolder
from orn.stage1_detect.coco_export import all_frames, export_coco, images_path
from tests.orn.inspection.conftest import detected, write
from tests.worlds.shards import CUP, PERSON

FRAMES = {"kitchen/a": [detected((PERSON, 0.5), (CUP, 0.75)), detected(), detected((CUP, 1.0))]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards: three frames of `kitchen/a` (numbers 5 to 7, at 0.5 s to 0.7 s), two of `b`."""
    write(tmp_path / "shards" / "shard-000000.zarr.zip", FRAMES)
    second = {"b": [detected((CUP, score)) for score in (0.25, 0.125)]}
    write(tmp_path / "shards" / "shard-000001.zarr.zip", second)
    return tmp_path / "shards"


def exported(folder: Path) -> tuple[list[Any], dict[int, Any]]:
    """The results, and the images by id."""
    out, detections = folder.parent / "out.json", DetectionFolder(folder)
    export_coco(all_frames(detections), out, detections.detector.class_names)
    images = json.loads(images_path(out).read_text())["images"]
    return json.loads(out.read_text()), {image["id"]: image for image in images}


def test_categories_are_those_of_coco() -> None:
    known = {"person": 1, "stop sign": 13, "backpack": 27, "wine glass": 46, "toothbrush": 90}
    for name, number in known.items():
        assert COCO_CATEGORY_IDS[COCO_CLASSES.index(name)] == number
    assert len(set(COCO_CATEGORY_IDS)) == 80


def test_every_detection_once_as_pycocotools_reads_it(folder: Path) -> None:
    results, images = exported(folder)
    assert len(images) == 5
    assert [result["image_id"] for result in results] == [1, 1, 3, 4, 5]
    mask = {"size": [6, 8], "counts": detected((CUP, 1)).masks[0].decode()}
    first = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 2], "score": 0.5}
    assert results[0] == first | {"segmentation": mask}
    image = {"id": 3, "height": 6, "width": 8, "file_name": "kitchen/a/0000000007.jpg"}
    assert images[3] == image | {"video": "kitchen/a", "frame": 7, "seconds": 0.7}
    truth = COCO(images_path(folder.parent / "out.json"))
    read = truth.loadRes(str(folder.parent / "out.json"))
    assert len(read.anns) == 5
    expected = np.zeros((6, 8), np.uint8)
    expected[2:4, 1:4] = 1
    for annotation in read.anns.values():
        np.testing.assert_array_equal(read.annToMask(annotation), expected)
    assert {category["name"] for category in truth.loadCats(read.getCatIds())} == {*COCO_CLASSES}


def test_nothing_to_export_leaves_no_file(tmp_path: Path) -> None:
    write(tmp_path / "shards" / "shard-000000.zarr.zip", {})
    with pytest.raises(PipelineError, match="got none"):
        exported(tmp_path / "shards")
    assert [path.name for path in tmp_path.iterdir()] == ["shards"]
