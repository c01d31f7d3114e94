"""Masks must be, byte for byte, what mmdet's paste into a full frame and pycocotools give."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from orn.stage1_detect.mmdet.class_scores import keep_mask_probabilities
from orn.stage1_detect.mmdet.detector import encode_masks
from orn.stage1_detect.mmdet.torchvision_ops import install

pytestmark = pytest.mark.mmdet


def pasted(masks: torch.Tensor, boxes: torch.Tensor, height: int, width: int) -> list[bytes]:
    """mmdet's path on the CPU, one mask after the other into a full frame."""
    install()  # before mmdet is imported
    from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

    counts = []
    for one, box in zip(masks, boxes, strict=True):
        full = torch.zeros((height, width), dtype=torch.bool)
        window, place = _do_paste_mask(one[None, None], box[None], height, width, skip_empty=True)
        full[place] = window[0] >= 0.5
        counts.append(coco_mask.encode(np.asfortranarray(full.numpy().astype(np.uint8)))["counts"])
    return counts


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([0.0, 0.0, 20.0, 12.0], id="whole frame"),
        pytest.param([4.5, 3.5, 9.5, 8.5], id="edges on pixel centers"),
        pytest.param([4.2, 3.0, 4.6, 9.0], id="narrower than a pixel"),
        pytest.param([6.0, 2.0, 6.0, 9.0], id="no width"),
        pytest.param([6.5, 2.5, 6.5, 2.5], id="a point on a pixel center"),
        pytest.param([0.0, 5.0, 0.0, 9.0], id="no width at the border"),
        pytest.param([20.0, 12.0, 20.0, 12.0], id="the far corner"),
        pytest.param([-3.0, -2.0, 25.0, 15.0], id="beyond the frame"),
    ],
)
@pytest.mark.parametrize("value", [1.0, 0.5, 0.49])
def test_odd_boxes_equal_mmdet(box: list[float], value: float) -> None:
    masks, boxes = torch.full((1, 28, 28), value), torch.tensor([box])
    encoded = encode_masks(masks, boxes, height=12, width=20, threshold=0.5)
    assert list(encoded) == pasted(masks, boxes, 12, 20)


@pytest.mark.parametrize("are_probabilities", [False, True], ids=["one stage", "cascade"])
def test_a_wrapped_head_gives_the_masks_that_it_pastes(are_probabilities: bool) -> None:
    install()
    from mmdet.models.roi_heads.mask_heads import FCNMaskHead

    head: Any = FCNMaskHead(num_convs=1, in_channels=4, conv_out_channels=4, num_classes=2)
    smooth = torch.randn((3, 2, 7, 7), generator=torch.Generator().manual_seed(0))
    masks = torch.nn.functional.interpolate(smooth, (28, 28), mode="bilinear")
    given = {
        "mask_preds": masks.sigmoid() if are_probabilities else masks,
        "labels": torch.tensor([0, 1, 1]),
        "img_meta": {"scale_factor": (2.0, 1.5), "ori_shape": (40, 60)},
        "rcnn_test_cfg": SimpleNamespace(mask_thr_binary=0.5),
        "rescale": True,
        "activate_map": are_probabilities,
    }
    boxes = torch.tensor([[4.0, 3, 60, 50], [20, 9, 110, 51], [0, 0, 120, 60]])
    pasted_NHW = head._predict_by_feat_single(bboxes=boxes.clone(), **given)
    parts = SimpleNamespace(mask_head=head, test_cfg={"mask_thr_binary": 0.5})
    threshold = keep_mask_probabilities(SimpleNamespace(roi_head=parts))
    kept_Nmm = head._predict_by_feat_single(bboxes=boxes, **given)
    encoded = encode_masks(kept_Nmm, boxes, height=40, width=60, threshold=threshold)
    full = np.asfortranarray(pasted_NHW.numpy().transpose(1, 2, 0).astype(np.uint8))
    assert list(encoded) == [mask["counts"] for mask in coco_mask.encode(full)]
