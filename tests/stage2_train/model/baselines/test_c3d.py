"""C3D: sizes as published, and what it computes, written out by hand."""

import torch
from torch import nn
from torch.nn import functional

from orn.stage2_train.model.baselines.c3d import C3D


def test_published_sizes(baseline_config) -> None:
    with torch.device("meta"):
        network = C3D(baseline_config("c3d", base_width=64, num_activities=487))
    assert network.fc6.in_features == 8192
    assert sum(weight.numel() for weight in network.parameters()) == 79_991_015
    features = network.features(torch.zeros(1, 3, 16, 112, 112, device="meta"))
    assert features.shape == (1, 512, 1, 4, 4)


def test_a_clip_layer_by_layer(baseline_config, frames_batch) -> None:
    network = C3D(baseline_config("c3d")).double().eval()
    batch = frames_batch(frames=3, size=(64, 64))
    video = batch.frames_BTCHW.double().transpose(1, 2) / 255
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None, None].double()
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None, None].double()
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
