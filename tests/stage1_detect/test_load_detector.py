"""The detector for arrays: chosen as by `orn detect`, and strict about what it is given."""

from pathlib import Path

import numpy as np
import pytest

from orn import load_detector
from orn.data_manifests.load import shipped_detectors
from orn.data_manifests.records import DetectorChoice
from orn.shared.errors import ConfigError, DetectorError, ShapeError
from orn.stage1_detect import choose_detector
from orn.stage1_detect.choose_detector import DEFAULT_CONFIG, choose_files

pytestmark = pytest.mark.mmdet


def test_the_shipped_detector_by_name_and_by_file() -> None:
    named = load_detector(config="mask_rcnn_demo", device="cpu")
    weights = shipped_detectors()["mask_rcnn_demo"].checkpoint
    assert weights is not None
    by_file = load_detector(str(weights), score_threshold=0.9, device="cpu")
    assert by_file.entry.config_name == named.entry.config_name == "mask_rcnn_demo"
    assert by_file.entry.checkpoint_digest == named.entry.checkpoint_digest
    assert (named.entry.thresholds["score"], by_file.entry.thresholds["score"]) == (0.3, 0.9)
    frames = [np.zeros((64, 96, 3), np.uint8)] * 2
    assert [(frame.height, frame.width) for frame in named.detect(frames)] == [(64, 96)] * 2
    assert named.detect([]) == []
    for wrong in (None, frames[0], [frames[0], np.zeros((32, 96, 3), np.uint8)], iter(frames)):
        with pytest.raises(ShapeError, match="frames: expected"):
            named.detect(wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"checkpoint": None}, r"download from https://.* as checkpoint=FILE"),
        ({"config": "mask_rcnn_r50_fpn_2x"}, "a name such as 'mask-rcnn_r50_fpn_2x_coco'"),
        ({"device": 0}, "device: expected auto, cpu, cuda or cuda:N, got '0'"),
    ],
)
def test_wrong_arguments_are_refused_without_a_word_of_options(arguments, message) -> None:
    weights = shipped_detectors()["mask_rcnn_demo"].checkpoint
    with pytest.raises((ConfigError, DetectorError), match=message) as refused:
        load_detector(**{"checkpoint": weights, "device": "cpu", **arguments})
    assert "--" not in str(refused.value)


OWN = DetectorChoice(config="own.py", checkpoint=Path("own.pth"))
NONE = DetectorChoice()


@pytest.mark.parametrize(
    ("own", "config", "checkpoint", "expected"),
    [
        pytest.param(OWN, None, None, ("own.py", "own.pth"), id="data set's own"),
        pytest.param(OWN, None, "mine.pth", ("own.py", "mine.pth"), id="different weights"),
        pytest.param(OWN, "mine.py", None, ("mine.py", None), id="own weights fit own config only"),
        pytest.param(NONE, None, None, (DEFAULT_CONFIG, None), id="default"),
        pytest.param(NONE, None, "mine.pth", (DEFAULT_CONFIG, "mine.pth"), id="weights only"),
        pytest.param(OWN, "demo", None, ("/demo.py", "/demo.pth"), id="shipped, by name"),
        pytest.param(NONE, "demo", "mine.pth", ("/demo.py", "mine.pth"), id="shipped, own weights"),
    ],
)
def test_choice(monkeypatch, own, config, checkpoint, expected) -> None:
    shipped = {"demo": DetectorChoice(config="/demo.py", checkpoint=Path("/demo.pth"))}
    monkeypatch.setattr(choose_detector, "shipped_detectors", lambda: shipped)
    path = checkpoint and Path(checkpoint)
    config_path, weights = choose_files(own, config=config, checkpoint=path)
    assert (config_path, weights and str(weights)) == expected
