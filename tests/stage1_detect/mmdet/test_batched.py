"""Proposals and boxes of a batch must be those that mmdet finds frame by frame, at real sizes."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orn.stage1_detect.detect import DEFAULT_CONFIG
from orn.stage1_detect.mmdet.batched import predict_boxes_together, propose, suppress
from orn.stage1_detect.mmdet.config import read_config
from orn.stage1_detect.mmdet.first_stage import FirstStage
from orn.stage1_detect.mmdet.heads import predict_boxes
from orn.stage1_detect.mmdet.library import InstanceData
from orn.stage1_detect.mmdet.model import build_model

pytestmark = pytest.mark.mmdet

IMAGE_HW = (320, 533)
LEVELS_HW = ((80, 136), (40, 68), (20, 34), (10, 17), (5, 9))


@pytest.fixture(scope="module")
def model() -> Any:
    """The default detector, whose weights do not matter here."""
    return build_model(read_config(DEFAULT_CONFIG)).eval()


def random_stage(num_images: int) -> FirstStage:
    generator = torch.Generator().manual_seed(0)

    def levels(width: int, gain: float) -> list[torch.Tensor]:
        return [
            torch.randn(num_images, width, *size, generator=generator) * gain for size in LEVELS_HW
        ]

    return FirstStage(
        feats_BChw=(torch.zeros(num_images, 1, 1, 1),),
        scores_BAhw=levels(3, 2.0),
        deltas_BDhw=levels(12, 0.4),
        checksums_B=torch.zeros(num_images),
    )


def priors_of(model: Any) -> list[torch.Tensor]:
    priors: list[torch.Tensor] = model.rpn_head.prior_generator.grid_priors(
        list(LEVELS_HW), dtype=torch.float32, device="cpu"
    )
    return priors


@torch.inference_mode()
def test_proposals_are_mmdets(model: Any) -> None:
    stage = random_stage(3)
    rois_R5 = propose(model, stage, priors_of(model), image_hw=IMAGE_HW)
    metas = [{"img_shape": IMAGE_HW}] * 3
    expected = model.rpn_head.predict_by_feat(
        stage.scores_BAhw, stage.deltas_BDhw, batch_img_metas=metas, rescale=False
    )
    assert [int((rois_R5[:, 0] == place).sum()) for place in range(3)] == list(map(len, expected))
    assert len(rois_R5) > 1500
    assert torch.equal(rois_R5[:, 1:], torch.cat([each.bboxes for each in expected]))


@torch.inference_mode()
def test_boxes_are_those_of_frame_by_frame(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rois_R5 = propose(model, random_stage(3), priors_of(model), image_hw=IMAGE_HW)
    rois_R5 = rois_R5[rois_R5[:, 0] != 1]  # one of the frames has no proposals
    generator = torch.Generator().manual_seed(1)
    outputs = {
        "cls_score": torch.randn(len(rois_R5), 81, generator=generator) * 3,
        "bbox_pred": torch.randn(len(rois_R5), 320, generator=generator),
    }
    monkeypatch.setattr(model.roi_head, "_bbox_forward", lambda feats, rois: outputs)
    feats = (torch.zeros(3, 1, 1, 1),)
    proposals = [InstanceData(bboxes=rois_R5[rois_R5[:, 0] == place, 1:]) for place in range(3)]
    expected = predict_boxes(model.roi_head, feats, proposals, [{"img_shape": IMAGE_HW}] * 3)
    found = predict_boxes_together(model.roi_head, feats, rois_R5, image_hw=IMAGE_HW)
    assert [len(each) for each in found] == [len(each) for each in expected] == [100, 0, 100]
    for ours, theirs in zip(found, expected, strict=True):
        for name in ("boxes", "scores", "labels", "class_scores"):
            assert torch.equal(getattr(ours, name), getattr(theirs, name)), name


@given(seed=st.integers(0, 10**6), num_boxes=st.integers(0, 60), most=st.integers(1, 20))
def test_each_group_of_each_image_is_alone(seed: int, num_boxes: int, most: int) -> None:
    generator = np.random.default_rng(seed)
    corners = generator.uniform(0, 20, (num_boxes, 2, 2)).astype(np.float32)
    boxes = torch.from_numpy(np.concatenate([corners.min(1), corners.max(1)], axis=1))
    scores = torch.from_numpy(generator.permutation(num_boxes).astype(np.float32))
    image, group = (torch.from_numpy(generator.integers(0, 3, num_boxes)) for _ in range(2))
    kept, counts = suppress(
        boxes,
        scores,
        image_M=image,
        group_M=group,
        num_images=3,
        iou_threshold=0.5,
        most=most,
    )
    expected: list[int] = []
    for place in range(3):
        chosen: list[int] = []
        for row in scores.argsort(descending=True).tolist():
            rivals = [r for r in chosen if group[r] == group[row]]
            if image[row] == place and all(overlap(boxes[row], boxes[r]) <= 0.5 for r in rivals):
                chosen.append(row)
        assert counts[place] == len(chosen[:most])
        expected += chosen[:most]
    assert kept.tolist() == expected


def overlap(one: torch.Tensor, other: torch.Tensor) -> float:
    """Intersection over union of two boxes."""
    low, high = torch.maximum(one[:2], other[:2]), torch.minimum(one[2:], other[2:])
    common = float((high - low).clamp(min=0).prod())
    areas = [float((each[2:] - each[:2]).prod()) for each in (one, other)]
    return common / max(sum(areas) - common, 1e-9)
