"""torchvision's Mask R-CNN gives what torchvision's own inference gives."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import get_model

import orn
from orn.shared.errors import DetectorError
from orn.shared.masks import rle
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import clip_boxes
from orn.shared.masks.validate import first_fault, widened_boxes
from orn.shared.video.read import read_frames
from orn.stage1_detect.torchvision_detector import NAMES, PREFIX, published_weights
from tests.running import run_orn
from tests.worlds.tables import counted_videos

THRESHOLD = 0.05


def random_network(name: str) -> Any:
    """torchvision's network with random weights that find many objects of several classes."""
    torch.manual_seed(0)
    model = get_model(
        name.removeprefix(PREFIX), weights=None, weights_backbone=None, num_classes=91
    )
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.weight.mul_(30)
        model.roi_heads.mask_predictor.mask_fcn_logits.weight.mul_(30)
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_equals_torchvision(sample_data: Path, tmp_path: Path, name: str) -> None:
    path = sample_data / "clips" / "normal" / "imageio__realshort.mp4"
    frame = next(islice(read_frames(path), 1)).image
    network = random_network(name)
    rows: list[torch.Tensor] = []
    network.roi_heads.box_predictor.register_forward_hook(
        lambda module, inputs, outputs: rows.append(outputs[0].softmax(-1))
    )
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    with torch.inference_mode():
        (expected,) = network([torch.from_numpy(frame).permute(2, 0, 1) / 255])
    categories = published_weights(name).meta["categories"]
    kept = [
        row
        for row, (label, score) in enumerate(
            zip(expected["labels"], expected["scores"], strict=True)
        )
        if categories[label] in COCO_CLASSES and score > THRESHOLD
    ]
    assert len(kept) > 20

    detector = orn.load_detector(
        tmp_path / "weights.pth",
        config=name,
        score_threshold=THRESHOLD,
        device="cpu",
    )
    (found,) = detector.detect([frame])
    assert first_fault(found) is None
    assert [COCO_CLASSES[label] for label in found.labels] == [
        categories[label] for label in expected["labels"][kept]
    ]
    np.testing.assert_allclose(found.scores, expected["scores"][kept], atol=1e-6)
    masks = tuple(rle.encode(mask[0].numpy() > 0.5) for mask in expected["masks"][kept])
    assert found.masks == masks
    boxes = clip_boxes(expected["boxes"][kept].numpy(), height=240, width=320)
    boxes = widened_boxes(boxes, masks, height=240)
    np.testing.assert_allclose(found.boxes, boxes, atol=1e-3)
    assert found.class_scores is not None
    columns = [categories.index(name) for name in COCO_CLASSES]
    for scores, label, score in zip(found.class_scores, found.labels, found.scores, strict=True):
        assert scores[label] == np.float16(score)
        known = rows[0][:, columns]
        distances = (known - torch.tensor(scores.astype(np.float32))).abs().amax(dim=1)
        assert distances.min() < 1e-3  # the scores of one of the proposals


def test_names_weights_and_precision_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="expected torchvision/maskrcnn_resnet50_fpn or"):
        orn.load_detector(config="torchvision/fasterrcnn")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.pth")
    with pytest.raises(
        DetectorError, match="do not match the config torchvision/maskrcnn_resnet50_fpn: "
    ):
        orn.load_detector(tmp_path / "weights.pth", config=NAMES[0], device="cpu")
    manifest = counted_videos(tmp_path, {"a": 2})
    words = ("detect", manifest, "--data", tmp_path / "data", "--out", tmp_path / "shards")
    words = (*words, "--config", NAMES[1])
    work = run_orn(*words, "--dry-run", "--json").json
    assert work["to_fetch"].endswith("maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth")
    words = (*words, "--checkpoint", tmp_path / "weights.pth")
    assert "--precision fp32" in run_orn(*words, "--precision", "bf16", exit_code=1).stderr
