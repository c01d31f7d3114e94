"""The detector for arrays: chosen as by `orn detect`, and strict about what it is given."""

from pathlib import Path

import numpy as np
import pytest

from shared.errors import DetectorError, ShapeError
from shared.manifests.load import shipped_detectors
from stage1_detect import load_detector
from tests.weights_server import WeightsServer

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
    assert [(each.height, each.width) for each in named.detect(frames)] == [(64, 96)] * 2
    assert named.detect([]) == []
    for wrong, message in (
        (np.zeros((64, 96), np.uint8), r"frame 1: wanted \(H, W, 3\) uint8 RGB, found \(64, 96\)"),
        (np.zeros((64, 96, 3)), r"frame 1: wanted .* found \(64, 96, 3\) float64"),
        (np.zeros((0, 96, 3), np.uint8), r"frame 1: wanted .* found \(0, 96, 3\)"),
        (np.zeros((32, 96, 3), np.uint8), r"frame 1: wanted \(64, 96, 3\), as the first"),
    ):
        with pytest.raises(ShapeError, match=message):
            named.detect([frames[0], wrong])


def test_published_weights_are_fetched(
    weights_host: WeightsServer, published_config: Path, demo_checkpoint: Path
) -> None:
    fetched = load_detector(config=published_config, device="cpu")
    given = load_detector(demo_checkpoint, config=published_config, device="cpu")
    assert fetched.entry == given.entry
    assert len(weights_host.requests) == 1


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"fetched from https://.* as checkpoint=FILE") as err:
        load_detector(device="cpu")
    assert "--" not in str(err.value)
    with pytest.raises(DetectorError, match=r"none\.pth: cannot be read"):
        load_detector(tmp_path / "none.pth", device="cpu")
