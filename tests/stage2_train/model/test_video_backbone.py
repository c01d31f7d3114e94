"""Video networks as backbones: their maps are those of torchvision's own forward."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models import get_model, get_model_weights
from torchvision.transforms.functional import normalize

from orn.shared.errors import CheckpointError, ConfigError
from orn.stage2_train.model.backbones import load_backbone, map_shape, published_size
from orn.stage2_train.model.video_backbone import VideoBackbone
from orn.stage2_train.settings.model_config import WINDOWS
from tests.worlds.video_networks import VIDEO_NETWORK, write_video_weights

POOLED = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d", "swin3d_t", "swin3d_s", "swin3d_b")
QUICK = ("mc3_18", "r2plus1d_18")


def networks(names: tuple[str, ...]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in names]


def made(name: str) -> tuple[Any, VideoBackbone, Tensor]:
    """torchvision's network, ours with the same weights, and a window of random colors; s3d pools
    over 7 x 7 cells, and mvit takes one size."""
    torch.manual_seed(0)
    whole = get_model(name).eval()
    backbone = VideoBackbone(f"torchvision/{name}", weights=whole.state_dict())
    side = 224 if name.startswith(("mvit", "s3d")) else 32
    window_NCHW = torch.randint(256, (backbone.window.frames, 3, side, side), dtype=torch.uint8)
    return whole, backbone, window_NCHW


def images_of(name: str, window_NCHW: Tensor) -> Tensor:
    """Return (1, 3, N, H, W) with the colors of torchvision's own transforms."""
    published = get_model_weights(name).DEFAULT.transforms()
    images_N3HW = normalize(window_NCHW / 255, published.mean, published.std)
    return images_N3HW.transpose(0, 1)[None]


@pytest.mark.parametrize("name", networks(POOLED))
def test_maps_through_the_classifier_are_the_logits_of_torchvision(name: str) -> None:
    whole, backbone, window_NCHW = made(name)
    with torch.inference_mode():
        images_13NHW = images_of(name, window_NCHW)
        maps_1Cthw = backbone.slices(images_13NHW)
        means_1C = maps_1Cthw.mean((2, 3, 4))
        head = list(whole.children())[-1]
        logits_1A = head(means_1C[..., None, None, None] if name == "s3d" else means_1C).flatten(1)
        torch.testing.assert_close(logits_1A, whole(images_13NHW), rtol=1e-4, atol=1e-5)
        map_1Chw = backbone(window_NCHW[None, None])
    middle_1Chw = maps_1Cthw[:, :, maps_1Cthw.shape[2] // 2]
    torch.testing.assert_close(map_1Chw, middle_1Chw, rtol=1e-4, atol=1e-4)
    slices = backbone.window.frames // backbone.window.slice_frames
    assert maps_1Cthw.shape[2] == slices


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mvit_v1_b", "mvit_v2_s"])
def test_maps_of_a_transformer_are_its_tokens_without_the_class(name: str) -> None:
    whole, backbone, window_NCHW = made(name)
    seen = []
    whole.norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        whole(images_of(name, window_NCHW))
        map_1Chw = backbone(window_NCHW[None, None])
    tokens_tCS = seen[0][0, 1:].unflatten(0, (8, 49)).transpose(1, 2)
    torch.testing.assert_close(map_1Chw[0].flatten(1), tokens_tCS[4], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", networks(tuple(name.split("/")[1] for name in WINDOWS)))
def test_every_network_has_49_cells(name: str) -> None:
    backbone = f"torchvision/{name}"
    channels = {"s3d": 1024, "swin3d_b": 1024}.get(name, 512 if name.endswith("_18") else 768)
    assert map_shape(backbone, published_size(backbone)) == (channels, 7, 7)


def test_training_and_autocast_change_nothing(tmp_path: Path) -> None:
    weights = write_video_weights(tmp_path / "network.pth")
    backbone = load_backbone(VIDEO_NETWORK, file=weights).train()
    windows = torch.randint(256, (1, 3, 16, 3, 64, 64), dtype=torch.uint8)
    windows[:, 1] = windows[:, 0]
    maps_MChw = backbone(windows)
    assert not maps_MChw.requires_grad and torch.equal(maps_MChw[0], maps_MChw[1])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(backbone(windows), maps_MChw)
    assert (backbone(windows.flip(2)) - maps_MChw).abs().max() > 0.01


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="use 224x224"):
        map_shape(VIDEO_NETWORK, (60, 64))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    weights = write_video_weights(tmp_path / "weights.pth", network="torchvision/mc3_18")
    with pytest.raises(CheckpointError, match="do not match torchvision/s3d"):
        load_backbone(VIDEO_NETWORK, file=weights)
