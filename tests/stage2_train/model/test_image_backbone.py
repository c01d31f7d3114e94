"""Image networks as backbones: their maps, their weights, and that nothing changes them."""

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from PIL import Image

from orn.shared.errors import CheckpointError
from orn.stage2_train.model import image_backbone
from orn.stage2_train.model.backbones import backbone_digest, load_backbone, map_shape
from orn.stage2_train.model.build import build_network, feature_cells
from orn.stage2_train.model.image_backbone import with_change
from tests.reference.image_maps import changes
from tests.stage2_train.model.conftest import draw_batch, in_float32
from tests.worlds.image_networks import NETWORK, write_image_weights

LITE0 = "timm/tf_efficientnet_lite0"
UNIFORM = 652
"""ImageNet's class "military uniform"."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return write_image_weights(tmp_path_factory.mktemp("weights") / "network.pth")


@pytest.mark.parametrize(
    ("backbone", "size", "shape"),
    [
        (LITE0, (224, 224), (320, 7, 7)),
        ("timm/test_vit", (160, 192), (64, 10, 12)),
        ("timm/swin_tiny_patch4_window7_224", (224, 224), (768, 7, 7)),
    ],
)
def test_the_shape_of_a_map(backbone, size, shape) -> None:
    assert map_shape(backbone, size) == shape


def test_the_weights_of_the_package_see_what_timm_publishes() -> None:
    """A picture of a woman in uniform, with the normalization of the backbone: timm prints 75.5 %
    top-1 for this network, and 0 % with wrong colors or weights in another order."""
    backbone = load_backbone(LITE0)
    picture = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    image = np.asarray(Image.open(picture).convert("RGB").resize((224, 224)))
    frames_11CHW = torch.from_numpy(image.copy()).permute(2, 0, 1)[None, None]
    whole = timm.create_model("tf_efficientnet_lite0").eval()
    packaged = image_backbone.packaged_weights()
    whole.load_state_dict(dict(zip(whole.state_dict(), packaged.values(), strict=True)))
    with torch.inference_mode():
        map_1Chw = backbone(frames_11CHW)
        images_13HW = backbone.normalize_frames(frames_11CHW)
        assert whole(images_13HW).argmax() == UNIFORM
        hidden = whole.blocks(whole.bn1(whole.conv_stem(images_13HW)))
    torch.testing.assert_close(map_1Chw, hidden)


def test_weights_from_either_kind_of_file(weights, tmp_path) -> None:
    safe = tmp_path / "network.safetensors"
    safetensors.torch.save_file(torch.load(weights), safe)
    one, other = (load_backbone(NETWORK, file=file) for file in (weights, safe))
    assert backbone_digest(one) == backbone_digest(other)
    assert backbone_digest(one) != backbone_digest(
        load_backbone(NETWORK, file=write_image_weights(tmp_path / "b.pth", seed=1))
    )
    with pytest.raises(CheckpointError, match="do not match timm/test_resnet"):
        load_backbone("timm/test_resnet", file=weights)


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_change_over_time_is_that_of_a_loop(frames) -> None:
    maps_BTChw = torch.randn(2, frames, 3, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(with_change(maps_BTChw), changes(maps_BTChw), rtol=0, atol=0)


@pytest.fixture
def config(tiny_config):
    return replace(
        tiny_config,
        backbone=NETWORK,
        feature_change=True,
        aggregation="mean_deviation_trend",
        activity_dropout=0.5,
        map_dropout=0.3,
        mlp_dropout=0.2,
    )


def frames_of(config, **changes):
    """A batch of frames that the network accepts, with the coverage of its cells."""
    batch = in_float32(draw_batch(size=(64, 96), **changes))
    cells = feature_cells(config, (64, 96))
    coverage_BTKhw = torch.rand(*batch.valid_BTK.shape, *cells)
    return replace(batch, coverage_BTKhw=coverage_BTKhw, maps_BTChw=None)


def test_a_frozen_network_does_not_change_in_training(config) -> None:
    network = build_network(config).train()
    before = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    output = network(frames_of(config))
    output.logits_BA.sum().backward()
    after = network.backbone.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(parameter.grad is None for parameter in network.backbone.parameters())
    assert network.activity_head.classifier.classify.weight.grad.abs().sum() > 0


def test_a_trained_network_changes(config) -> None:
    network = build_network(replace(config, backbone_trains=True)).train()
    before = network.backbone.network.bn1.running_mean.clone()
    network(frames_of(config)).logits_BA.sum().backward()
    assert not torch.equal(before, network.backbone.network.bn1.running_mean)
    assert network.backbone.network.conv_stem.weight.grad.abs().sum() > 0


def test_maps_of_a_frozen_network_are_computed_once(config, monkeypatch) -> None:
    network, batch = build_network(config).eval(), frames_of(config)
    trained = build_network(replace(config, backbone_trains=True)).eval()
    assert trained.with_frozen_maps(batch) is batch
    with torch.inference_mode():
        expected = network(batch).logits_BA
        with_maps = network.with_frozen_maps(batch)
        monkeypatch.setattr(network.backbone, "forward", None)
        assert torch.equal(network(with_maps).logits_BA, expected)
        assert network.with_frozen_maps(with_maps) is with_maps


@pytest.mark.parametrize(
    "changes", [{"motion": True}, {"backbone": "motion", "feature_change": False}]
)
def test_stored_maps_and_motion_are_read_in_the_precision_of_the_weights(config, changes) -> None:
    network, batch = build_network(replace(config, **changes)).eval(), draw_batch()
    stored = replace(
        in_float32(batch),
        maps_BTChw=batch.maps_BTChw.half(),
        motion_BTChw=batch.motion_BTChw.half(),
    )
    widened = replace(
        stored, maps_BTChw=stored.maps_BTChw.float(), motion_BTChw=stored.motion_BTChw.float()
    )
    assert torch.equal(network(stored).logits_BA, network(widened).logits_BA)


def test_a_frozen_network_gets_a_bounded_number_of_frames_at_once(config, monkeypatch) -> None:
    """Equal to a single batch, up to rounding."""
    backbone = build_network(config).backbone
    frames_BTCHW = torch.randint(256, (3, 7, 3, 64, 96), dtype=torch.uint8)
    whole = backbone.maps(backbone.normalize_frames(frames_BTCHW))
    seen, compute = [], backbone.maps
    monkeypatch.setattr(backbone, "maps", lambda own: seen.append(len(own)) or compute(own))
    torch.testing.assert_close(backbone(frames_BTCHW), whole, rtol=1e-4, atol=1e-4)
    assert sum(seen) == 21 and max(seen) == 8
