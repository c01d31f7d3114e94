"""COCO results, as pycocotools reads them."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from orn.shared.errors import PipelineError
from orn.shared.masks.coco_classes import COCO_CATEGORY_IDS, COCO_CLASSES
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.time_ranges import TimeRange
from orn.stage1_detect.exports.coco_export import export_coco, images_path, select_frames
from tests.orn.inspect.conftest import detected, write
from tests.worlds.shards import CUP, PERSON
from tests.worlds.tables import write_table

FRAMES = {"kitchen/a": [detected((PERSON, 0.5), (CUP, 0.75)), detected(), detected((CUP, 1.0))]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards: three frames of `kitchen/a` (numbers 5 to 7, at 0.5 s to 0.7 s), two of `b`."""
    write(tmp_path / "shards" / "shard-000000.zarr.zip", FRAMES)
    second = {"b": [detected((CUP, score)) for score in (0.25, 0.125)]}
    write(tmp_path / "shards" / "shard-000001.zarr.zip", second)
    return tmp_path / "shards"


def export(folder: Path, out: Path, **selection: Any) -> None:
    detections = DetectionFolder(folder)
    frames = select_frames(detections, **selection)
    export_coco(frames, out, detections.detector.class_names)


def exported(folder: Path, **selection: Any) -> tuple[list[Any], dict[int, Any]]:
    """The results, and the images by id."""
    out = folder.parent / "out.json"
    export(folder, out, **selection)
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


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"ranges": {"b": [TimeRange(9.0)]}}, "got none"),
        ({"videos": ("kitchen/b",)}, "expected video 'kitchen/b', .* did you mean 'kitchen/a'"),
    ],
)
def test_nothing_to_export_leaves_no_file(folder: Path, selection: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        exported(folder, **selection)
    assert [path.name for path in folder.parent.iterdir()] == ["shards"]


def test_the_command_takes_a_split(orn: Any, folder: Path) -> None:
    root = folder.parent
    rows = ["video,label,start,stop,split", "kitchen/a,x,0.5,0.6,train", "b,x,0.6,9,validation"]
    manifest = write_table(root, "mine", rows, classes=["x"], form="segments")
    places = (root / "out.json", "--shards", folder, "--data", root / "data")
    export = partial(orn, "export-objects", manifest, *places, "--format", "coco", "--json")
    payload = export("--split", "train").json
    assert (payload["frames"], payload["objects"], payload["videos"]) == (1, 2, 1)
    both = export("--split", "validation", "--video", "b", "--min-score", "0.2")
    assert both.json["objects"] == 0
    assert json.loads((root / "out.json").read_text()) == []
    assert "split 'test', got none" in export("--split", "test", exit_code=None).stderr
    assert export().json["frames"] == 5
