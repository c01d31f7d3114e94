"""The baselines: what holds of each, and I3D, C3D and TRN against published sizes and loops."""

import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import GoogLeNet

from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.c3d import C3D
from orn.stage2_train.model.i3d import I3D
from orn.stage2_train.model.image_weights import inflate
from orn.stage2_train.model.trn import TRN
from orn.stage2_train.settings.model_config import NetworkConfig
from tests.reference.temporal_relation import multi_scale_logits
from tests.stage2_train.model.conftest import draw_batch, randomize


def baseline_config(architecture: str, **settings) -> NetworkConfig:
    """A small configuration of one of the baselines."""
    chosen = {"num_activities": 3, "base_width": 2, "heads": "activity"} | settings
    return NetworkConfig(architecture=architecture, **chosen)


@pytest.fixture(params=["i3d", "c3d", "trn"])
def make_baseline(request):
    """A function giving one of the baselines, for clips of `frames` frames."""

    def make(frames: int = 4, **settings):
        if request.param == "trn":
            settings |= {"num_frames": frames, "kernels": ("2d",) * 5}
        torch.manual_seed(0)
        network = build_network(baseline_config(request.param, **settings)).eval()
        randomize(network)
        return network

    return make


def test_evaluation_is_repeatable_and_clips_are_apart(make_baseline) -> None:
    """Whatever the objects are, and by weights that follow the seed."""
    batch, network = draw_batch(clips=3, frames=4), make_baseline().double()
    nothing = {
        name: torch.full_like(getattr(batch, name), math.nan)
        for name in ("masks_BTKhw", "coverage_BTKhw", "class_scores_BTKS")
    }
    with torch.no_grad():
        output = network(batch, heads="activity")
        first = output.logits_BA
        again = make_baseline().double()(replace(batch, **nothing)).logits_BA
        assert torch.equal(first, again)
        single = network(batch.of_clips([1])).logits_BA
    torch.testing.assert_close(single[0], first[1], rtol=1e-9, atol=1e-12)
    assert first is output.activity_logits_BA
    assert output.object_logits_BA is output.class_logits_BTKS is None


ROUND_OFF = 1e-9  # float64 through 57 convolutions

COLORS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def googlenet() -> GoogLeNet:
    """With random weights, and normalizations that are not the identity."""
    torch.manual_seed(0)
    network = GoogLeNet(aux_logits=True, transform_input=True, init_weights=False).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.02, 0.1)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.normal_(module.bias, std=0.1)
    return network


@pytest.mark.parametrize(("frames", "size"), [(4, (39, 50)), (1, (32, 32))])
def test_a_still_clip_gives_what_googlenet_gives(googlenet, frames, size) -> None:
    i3d, googlenet = I3D(3).double().eval(), deepcopy(googlenet).double()
    inflate(i3d, googlenet.state_dict(), name="random")
    batch = draw_batch(clips=1, frames=frames, size=size)
    batch = replace(batch, frames_BTCHW=batch.frames_BTCHW[:, :1].expand_as(batch.frames_BTCHW))
    still_1CHW = batch.frames_BTCHW[0, :1].double() / 255
    mean, std = (torch.tensor(color, dtype=torch.float64)[:, None, None] for color in COLORS)
    pooled = []
    googlenet.avgpool.register_forward_hook(lambda module, args, out: pooled.append(out))
    with torch.no_grad():
        googlenet((still_1CHW - mean) / std)
        ours = i3d(batch).logits_BA
        expected = i3d.classify(pooled[0].flatten(1))
    scale = float(expected.abs().max())
    torch.testing.assert_close(ours, expected, rtol=ROUND_OFF, atol=ROUND_OFF * scale)


def test_published_sizes() -> None:
    with torch.device("meta"):
        network = C3D(487)
    assert network.fc6.in_features == 8192
    assert sum(weight.numel() for weight in network.parameters()) == 79_991_015
    features = network.features(torch.zeros(1, 3, 16, 112, 112, device="meta"))
    assert features.shape == (1, 512, 1, 4, 4)


def test_a_clip_layer_by_layer() -> None:
    network = C3D(3, base_width=2).double().eval()
    batch = draw_batch(frames=3, size=(64, 64))
    video = batch.frames_BTCHW.double().transpose(1, 2) / 255
    mean, std = (torch.tensor(color)[:, None, None, None].double() for color in COLORS)
    hidden = (video - mean) / std
    times = []
    for number, stage in enumerate(network.stages):
        for convolution in (layer for layer in stage if isinstance(layer, nn.Conv3d)):
            hidden = functional.conv3d(hidden, convolution.weight, convolution.bias, padding=1)
            hidden = hidden.clamp(min=0)
        kernel = 1 if number == 0 or hidden.shape[2] == 1 else 2
        side = 2 if number < 4 else 1  # 64 pixels are 4 cells before the last pool
        hidden = functional.max_pool3d(hidden, (kernel, side, side), ceil_mode=True)
        times.append(hidden.shape[2])
    assert times == [3, 2, 1, 1, 1]
    feats = hidden.mean(dim=2).flatten(1)  # one step in time is left
    for layer in (network.fc6, network.fc7):
        feats = (feats @ layer.weight.T + layer.bias).clamp(min=0)
    expected = feats @ network.classify.weight.T + network.classify.bias
    torch.testing.assert_close(network(batch).logits_BA, expected, rtol=1e-9, atol=1e-12)


def make_trn(frames: int) -> TRN:
    torch.manual_seed(0)
    config = baseline_config("trn", num_frames=frames, kernels=("2d",) * 5)
    return build_network(config).double().eval()


@pytest.mark.parametrize("frames", [2, 3, 5])
def test_relations_equal_plain_loops(frames) -> None:
    network = make_trn(frames)
    frames_BTE = torch.randn(2, frames, 256, dtype=torch.float64)
    ours_BA = sum(scale(frames_BTE, generator=None) for scale in network.relations)
    mlps = {
        number: (scale.relate, scale.classify)
        for number, scale in enumerate(network.relations, start=2)
    }
    assert list(mlps) == list(range(2, frames + 1))
    for clip in range(2):
        expected_A = multi_scale_logits(frames_BTE[clip], mlps)
        torch.testing.assert_close(ours_BA[clip], expected_A, rtol=1e-10, atol=1e-12)


def test_the_network_is_features_then_relations() -> None:
    network, batch = make_trn(3), draw_batch(frames=3)
    seen = []
    network.reduce.register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    logits_BA = network(batch).logits_BA
    pooled_BTD, frames_BTE = seen[0]
    assert pooled_BTD.shape == (2, 3, 16)
    expected = sum(scale(frames_BTE, generator=None) for scale in network.relations)
    torch.testing.assert_close(logits_BA, expected)
    # A frame's features are its own: those of frame 2 are the same beside itself.
    network(replace(batch, frames_BTCHW=batch.frames_BTCHW[:, [2, 2, 2]]))
    torch.testing.assert_close(seen[1][0][:, 0], pooled_BTD[:, 2], rtol=1e-9, atol=1e-12)
