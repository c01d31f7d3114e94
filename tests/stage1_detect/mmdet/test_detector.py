"""The detector must give what mmdet's own path gives, and the softmax rows besides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from stage1_detect.mmdet.detector import MmdetDetector, load_detector

pytestmark = pytest.mark.mmdet

THRESHOLD = 0.02


@pytest.fixture(scope="module", params=["demo", "per_class"])
def loaded(request: pytest.FixtureRequest) -> MmdetDetector:
    """A detector with random weights; shared boxes and masks, or those per class."""
    return load_detector(
        config=request.getfixturevalue(f"{request.param}_config"),
        checkpoint=request.getfixturevalue(f"{request.param}_checkpoint"),
        device="cpu",
        score_threshold=THRESHOLD,
    )


def mmdet_predictions(detector: MmdetDetector, images: list[NDArray[np.uint8]]) -> list[Any]:
    """mmdet's own path, `test_step`, masks pasted into full frames."""
    prepared = [detector.prepare(image) for image in images]
    batch = {key: [item[key] for item in prepared] for key in ("inputs", "data_samples")}
    with torch.inference_mode():
        return [sample.pred_instances for sample in detector._model.test_step(batch)]


def test_equals_mmdet(loaded: MmdetDetector, pictures: list[NDArray[np.uint8]]) -> None:
    expected = mmdet_predictions(loaded, pictures)
    found = loaded.detect(pictures)
    assert sum(len(frame) for frame in found) > 10
    for frame, instances, picture in zip(found, expected, pictures, strict=True):
        height, width = picture.shape[:2]
        assert (frame.height, frame.width) == (height, width)
        limits = torch.tensor([width, height, width, height])
        boxes = torch.minimum(instances.bboxes.clamp(min=0), limits)
        np.testing.assert_array_equal(frame.boxes, boxes.numpy())
        np.testing.assert_array_equal(frame.scores, instances.scores.numpy())
        np.testing.assert_array_equal(frame.labels, instances.labels.numpy())
        full = np.asfortranarray(instances.masks.numpy().transpose(1, 2, 0).astype(np.uint8))
        counts = [mask["counts"] for mask in coco_mask.encode(full)]
        assert list(frame.masks) == counts


def test_class_scores_are_the_softmax_row(
    loaded: MmdetDetector, pictures: list[NDArray[np.uint8]]
) -> None:
    raw = loaded.infer([loaded.prepare(picture) for picture in pictures])
    for found in raw:
        rows = torch.arange(len(found.scores))
        assert torch.equal(found.class_scores[rows, found.labels], found.scores)
        assert found.class_scores.shape[1] == 80
        assert (found.class_scores.sum(dim=1) <= 1 + 1e-6).all()
    # Detections of one proposal share its row; here some proposal gave two classes.
    rows_alike = [len(np.unique(f.class_scores.numpy(), axis=0)) < len(f.scores) for f in raw]
    assert any(rows_alike)
