from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared.detections import FrameDetections
from tests.stage1_detect.mmdet.conftest import HEIGHT, WIDTH

pytestmark = pytest.mark.mmdet


def as_detections(folder: Path, shift: float, label_shift: int) -> list[FrameDetections]:
    """The ground truth of `train` as detections, boxes moved right, labels moved up."""
    from stage1_detect.mmdet.coco_frames import load_coco_frames

    frames = load_coco_frames(folder, "train")
    found = []
    for boxes, labels, masks in zip(frames.boxes, frames.labels, frames.masks, strict=True):
        moved = boxes + np.array([shift, 0, shift, 0], dtype=np.float32)
        found.append(
            FrameDetections(
                height=HEIGHT,
                width=WIDTH,
                boxes=moved,
                scores=np.full(len(boxes), 0.9, dtype=np.float32),
                labels=((labels + label_shift) % 80).astype(np.uint8),
                class_scores=None,
                masks=masks,
            )
        )
    return found


@pytest.mark.parametrize(
    ("shift", "label_shift", "box", "mask"),
    [
        pytest.param(0.0, 0, 1.0, 1.0, id="perfect"),
        pytest.param(40.0, 0, 0.0, 1.0, id="boxes off, masks right"),
        pytest.param(0.0, 1, 0.0, 0.0, id="wrong classes"),
    ],
)
def test_average_precision(
    coco_folder: Path,
    capsys: pytest.CaptureFixture[str],
    shift: float,
    label_shift: int,
    box: float,
    mask: float,
) -> None:
    from stage1_detect.mmdet.average_precision import average_precision

    found = as_detections(coco_folder, shift, label_shift)
    figures = average_precision(coco_folder / "train.json", range(1, 7), found)
    assert figures["box_ap50"] == pytest.approx(box)
    assert figures["mask_ap50"] == pytest.approx(mask)
    assert capsys.readouterr().out == ""


def test_nothing_found(coco_folder: Path) -> None:
    from stage1_detect.mmdet.average_precision import average_precision

    assert average_precision(coco_folder / "train.json", [], [])["box_ap50"] == 0.0
