from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orn.shared.errors import DetectorError
from orn.stage1_detect.detector_weights import load_weights
from orn.stage1_detect.mmdet.model import build_model, read_config

pytestmark = pytest.mark.mmdet


@pytest.fixture(scope="module")
def model(demo_config: Path) -> Any:
    return build_model(read_config(demo_config))


def load(model: Any, path: Path) -> str:
    return load_weights(model, path, config_name="the_config")[0]


def test_weights_of_mmengine_and_bare_ones_are_loaded(model, demo_checkpoint, tmp_path) -> None:
    from mmengine.logging import HistoryBuffer

    weights = torch.load(demo_checkpoint, weights_only=True)
    digest = load(model, demo_checkpoint)
    assert digest.startswith("sha256:") and digest == load(model, demo_checkpoint)
    history = HistoryBuffer(list(range(300_000)), [1] * 300_000)  # 5 MB of text in the pickle
    full = {
        "state_dict": OrderedDict((f"module.{k}", v.half()) for k, v in weights.items()),
        "meta": {"epoch": 1, "seed": np.float64(3), "CLASSES": ("person",)},
        "message_hub": {"log_scalars": {"loss": history}},
    }
    torch.save(full, tmp_path / "full.pth")
    assert load(model, tmp_path / "full.pth") != digest
    for name, weight in model.state_dict().items():
        assert torch.equal(weight.half(), weights[name].half())


def test_weights_that_do_not_fit_are_named(model, demo_checkpoint, tmp_path) -> None:
    weights = torch.load(demo_checkpoint, weights_only=True)
    del weights["backbone.conv1.weight"]
    weights["extra.bias"] = torch.zeros(1)
    weights["roi_head.bbox_head.fc_cls.bias"] = torch.zeros(21)
    path = tmp_path / "other.pth"
    torch.save(weights, path)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(DetectorError) as caught:
        load(model, path)
    message = str(caught.value)
    for part in (f"{path}: ", "the_config", "1 weight is missing", "backbone.conv1.weight"):
        assert part in message
    assert "\n" not in message
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


BOXES_ONLY = "type='FasterRCNN', roi_head=dict(mask_head=None, mask_roi_extractor=None)"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (BOXES_ONLY, "odd: expected an instance segmentation model, got FasterRCNN"),
        ("neck=dict(type='Nick')", "odd: MMDetection cannot build the model"),
        ("retinanet_r18_fpn_1x_coco", "expected an instance segmentation model, got RetinaNet"),
    ],
)
def test_what_gives_no_masks_of_objects_is_refused(
    tmp_path: Path, demo_config: Path, settings: str, message: str
) -> None:
    path = tmp_path / "odd.py"
    path.write_text(f"_base_ = {str(demo_config)!r}\nmodel = dict({settings})\n")
    config = read_config(settings if settings.endswith("coco") else path)
    with pytest.raises(DetectorError, match=message):
        build_model(config)
