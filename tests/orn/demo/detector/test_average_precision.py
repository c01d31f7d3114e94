"""Average precision by pycocotools of detections held as our own records."""

import json
from pathlib import Path

import pytest

from orn.demo.detector.average_precision import average_precision
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from tests.worlds.shards import blocks

SHAPE = {"height": 120, "width": 160}
OBJECTS = ((39, 10, 20, 40, 50), (45, 70, 40, 100, 70))
"""Class, x1 y1 x2 y2."""


def detected(shift: float = 0.0, label_shift: int = 0) -> FrameDetections:
    """The two objects as detections, their boxes moved right, their labels moved up."""
    detections = blocks(*((label + label_shift, 0.9, *box) for label, *box in OBJECTS), **SHAPE)
    detections.boxes[:, ::2] += shift
    return detections


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    objects = []
    for image in (1, 2):
        for number, (label, x1, y1, x2, y2) in enumerate(OBJECTS):
            mask = {"size": [*SHAPE.values()], "counts": detected().masks[number].decode()}
            place = {"id": 10 * image + number + 1, "image_id": image, "category_id": label + 1}
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            objects.append({**place, **box, "segmentation": mask})
    document = {
        "images": [{"id": image, **SHAPE} for image in (1, 2)],
        "annotations": objects,
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(COCO_CLASSES)],
    }
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("frames", "box", "masks"),
    [
        pytest.param([detected(), detected()], 1.0, 1.0, id="perfect"),
        pytest.param([detected(40.0), detected(40.0)], 0.0, 1.0, id="boxes off, masks right"),
        pytest.param([detected(0.0, 1), detected(0.0, 1)], 0.0, 0.0, id="wrong classes"),
        pytest.param([detected(), blocks(**SHAPE)], 0.5, 0.5, id="one frame missed"),
        pytest.param([], 0.0, 0.0, id="nothing found"),
    ],
)
def test_average_precision(annotations: Path, capsys, frames, box: float, masks: float) -> None:
    figures = average_precision(annotations, [1, 2][: len(frames)], frames, COCO_CLASSES)
    assert figures["box_ap50"] == pytest.approx(box, abs=0.01)
    assert figures.get("mask_ap50", 0.0) == pytest.approx(masks, abs=0.01)
    assert capsys.readouterr().out == ""


def test_classes_that_a_detector_does_not_have_are_not_missed(annotations: Path) -> None:
    one = blocks((1, 0.9, 10, 20, 40, 50), **SHAPE)  # the bottle alone
    names = ("cup", COCO_CLASSES[OBJECTS[0][0]])
    figures = average_precision(annotations, [1, 2], [one, one], names)
    assert (figures["box_ap50"], figures["mask_ap50"]) == pytest.approx((1, 1), abs=0.01)
    every = average_precision(annotations, [1, 2], [one, one], COCO_CLASSES)
    assert every["mask_ap50"] < 0.1
