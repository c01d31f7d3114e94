"""Average precision by pycocotools of detections held as our own records."""

import json
from pathlib import Path

import numpy as np
import pytest

from orn.demo.detector.average_precision import average_precision
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.rle import encode

HEIGHT, WIDTH = 120, 160
LABELS = (39, 45)
CORNERS = ((10, 20), (70, 40))
SIZE = 30


def mask(corner: tuple[int, int]) -> np.ndarray:
    drawn = np.zeros((HEIGHT, WIDTH), bool)
    drawn[corner[1] : corner[1] + SIZE, corner[0] : corner[0] + SIZE] = True
    return drawn


def found(shift: float = 0.0, label_shift: int = 0) -> FrameDetections:
    """The two objects as detections, their boxes moved right, their labels moved up."""
    boxes = [[x + shift, y, x + shift + SIZE, y + SIZE] for x, y in CORNERS]
    return FrameDetections(
        height=HEIGHT,
        width=WIDTH,
        boxes=np.array(boxes, np.float32),
        scores=np.full(2, 0.9, np.float32),
        labels=np.array(LABELS, np.uint8) + np.uint8(label_shift),
        class_scores=None,
        masks=tuple(encode(mask(corner)) for corner in CORNERS),
    )


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    rows = [
        {
            "id": 10 * image + number + 1,
            "image_id": image,
            "category_id": label + 1,
            "bbox": [*corner, SIZE, SIZE],
            "area": SIZE * SIZE,
            "iscrowd": 0,
            "segmentation": {"size": [HEIGHT, WIDTH], "counts": encode(mask(corner)).decode()},
        }
        for image in (1, 2)
        for number, (label, corner) in enumerate(zip(LABELS, CORNERS, strict=True))
    ]
    path = tmp_path / "truth.json"
    document = {
        "images": [{"id": image, "height": HEIGHT, "width": WIDTH} for image in (1, 2)],
        "annotations": rows,
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(COCO_CLASSES)],
    }
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("shift", "label_shift", "box", "masks"),
    [
        pytest.param(0.0, 0, 1.0, 1.0, id="perfect"),
        pytest.param(40.0, 0, 0.0, 1.0, id="boxes off, masks right"),
        pytest.param(0.0, 1, 0.0, 0.0, id="wrong classes"),
    ],
)
def test_average_precision(
    annotations: Path,
    capsys: pytest.CaptureFixture[str],
    shift: float,
    label_shift: int,
    box: float,
    masks: float,
) -> None:
    figures = average_precision(annotations, [1, 2], [found(shift, label_shift)] * 2)
    assert figures["box_ap50"] == pytest.approx(box)
    assert figures["mask_ap50"] == pytest.approx(masks)
    assert capsys.readouterr().out == ""


def test_a_missed_frame_costs_half(annotations: Path) -> None:
    nothing = FrameDetections(
        height=HEIGHT,
        width=WIDTH,
        boxes=np.zeros((0, 4), np.float32),
        scores=np.zeros(0, np.float32),
        labels=np.zeros(0, np.uint8),
        class_scores=None,
        masks=(),
    )
    figures = average_precision(annotations, [1, 2], [found(), nothing])
    assert figures["mask_ap50"] == pytest.approx(0.5, abs=0.01)


def test_nothing_found(annotations: Path) -> None:
    assert average_precision(annotations, [], [])["box_ap50"] == 0.0
