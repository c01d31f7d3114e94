"""Mask R-CNN: what `inference_detector` gives, and the softmax rows besides."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from orn.shared.errors import DetectorError
from orn.shared.masks.detections import FrameDetections
from orn.stage1_detect.mmdet.detector import MmdetDetector
from tests.emulated_device import emulated_device
from tests.stage1_detect.conftest import draw_picture, save_random_weights
from tests.stage1_detect.mmdet.test_segmenter import (
    assert_equal,
    assert_rows_have_the_kept_score,
    mmdet_instances,
)

pytestmark = pytest.mark.mmdet

THRESHOLD = 0.02


@pytest.fixture(scope="module", params=["demo", "per_class"])
def loaded(load_tiny: Any, request: pytest.FixtureRequest) -> MmdetDetector:
    """A detector with random weights; shared boxes and masks, or those per class."""
    return load_tiny(request.param, score_threshold=THRESHOLD)


@pytest.fixture(scope="module")
def detections(loaded: MmdetDetector, pictures: list[NDArray[np.uint8]]) -> list[FrameDetections]:
    return loaded.detect(pictures)


def test_equals_mmdet(loaded, detections, pictures, tiny_files) -> None:
    assert loaded.entry.thresholds == {"score": THRESHOLD}
    assert loaded.entry.class_names[0] == "person"
    assert {"torch", "torchvision", "mmdet", "detection"} <= loaded.entry.versions.keys()
    name = "demo" if loaded.entry.config_name == "mask_rcnn_demo" else "per_class"
    expected = mmdet_instances(**tiny_files[name], frames=pictures, score_threshold=THRESHOLD)
    assert sum(map(len, detections)) > 10
    for frame, instances in zip(detections, expected, strict=True):
        assert_equal(frame, instances, THRESHOLD)


def test_detects_the_same_on_a_device(loaded, detections, tiny_files, load_tiny, pictures) -> None:
    name = "demo" if loaded.entry.config_name == "mask_rcnn_demo" else "per_class"
    with emulated_device() as device:
        detector = load_tiny(name, score_threshold=THRESHOLD)
        assert detector.device == device
        for ours, theirs in zip(detector.detect(pictures), detections, strict=True):
            np.testing.assert_array_equal(ours.boxes, theirs.boxes)


def test_class_scores_are_the_softmax_row(detections: list[FrameDetections]) -> None:
    assert_rows_have_the_kept_score(detections)
    for frame in detections:
        scores_NC = frame.class_scores
        assert scores_NC is not None and scores_NC.shape[1] == 80
        assert (scores_NC.astype(np.float32).sum(1) <= 1 + 1e-2).all()
    # Detections of one proposal share its row; here some proposal gave two classes.
    assert any(len(np.unique(f.class_scores, axis=0)) < len(f) for f in detections)


def test_boxes_of_a_bfloat16_backbone_are_float32(load_tiny, demo_config, tmp_path) -> None:
    """In bfloat16, their coordinates would be multiples of 4 pixels beyond 512."""
    wide, path = draw_picture(0, 96, 1200), tmp_path / "wide.py"
    scale = "dict(type='Resize', scale=(1200, 96), keep_ratio=True)"
    pack = "dict(type='PackDetInputs', meta_keys=('ori_shape', 'img_shape', 'scale_factor'))"
    steps = f"dict(type='LoadImageFromFile'), {scale}, {pack}"
    path.write_text(
        f"_base_ = {str(demo_config)!r}\ntest_dataloader = dict(dataset=dict(pipeline=[{steps}]))\n"
    )
    boxes = []
    for precision in ("float32", "bfloat16"):
        detector = load_tiny(config=path, precision=precision)
        assert detector.entry.precision == precision
        boxes.append(torch.from_numpy(detector.detect([wide])[0].boxes))
    full_N4, low_N4 = (box[(box[:, 0] > 512) & (box[:, 2] < 1199)] for box in boxes)
    assert len(low_N4) > 3
    nearest_N = torch.cdist(low_N4, full_N4, p=torch.inf).amin(1)
    assert nearest_N.median() < 1
    assert (low_N4 % 4 != 0).float().mean() > 0.9


def test_names_of_classes_are_those_of_the_weights(
    load_tiny: Any, demo_config: Path, tmp_path: Path
) -> None:
    path, weights = tmp_path / "three.py", tmp_path / "three.pth"
    heads = "bbox_head=dict(num_classes=3), mask_head=dict(num_classes=3)"
    own = f"_base_ = {str(demo_config)!r}\nmodel = dict(roi_head=dict({heads}))\n"
    path.write_text(own)
    save_random_weights(path, weights)
    with pytest.raises(DetectorError, match=r"three: .* 3 classes, got 80"):
        load_tiny(config=path, checkpoint=weights)
    content = {"state_dict": torch.load(weights), "meta": {"CLASSES": ["a", "b", "c"]}}
    torch.save(content, weights)
    detector = load_tiny(config=path, checkpoint=weights)
    assert detector.entry.class_names == ("a", "b", "c")
    detections = detector.detect([draw_picture(0)])[0]
    assert len(detections) and detections.class_scores.shape == (len(detections), 3)
