from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.mmdet


def test_images_without_proposals_have_no_detections(demo_config: Path) -> None:
    from orn.stage1_detect.mmdet.config import read_config
    from orn.stage1_detect.mmdet.heads import predict_boxes, predict_masks
    from orn.stage1_detect.mmdet.library import InstanceData
    from orn.stage1_detect.mmdet.model import build_model

    model = build_model(read_config(demo_config)).eval()
    metas = [{"img_shape": (64, 64)}] * 2
    with torch.inference_mode():
        feats = model.extract_feat(torch.zeros(2, 3, 64, 64))
        none = InstanceData(bboxes=torch.zeros(0, 4))
        one = InstanceData(bboxes=torch.tensor([[4.0, 4.0, 40.0, 30.0]]))
        found = predict_boxes(model.roi_head, feats, [none, none], metas)
        assert [len(image) for image in found] == [0, 0]
        assert found[0].class_scores.shape == (0, 80)
        assert [len(m) for m in predict_masks(model.roi_head, feats, found)] == [0, 0]

        model.roi_head.test_cfg.score_thr = 0.0
        found = predict_boxes(model.roi_head, feats, [none, one], metas)
        assert len(found[0]) == 0
        assert len(found[1]) == 50  # the most that the config keeps
        masks = predict_masks(model.roi_head, feats, found)
        assert [tuple(m.shape) for m in masks] == [(0, 28, 28), (50, 28, 28)]
