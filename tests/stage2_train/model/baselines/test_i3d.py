"""I3D against torchvision's GoogLeNet on still clips, and its ImageNet weights."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torchvision.models import GoogLeNet

from orn.shared.errors import CheckpointError
from orn.stage2_train.model.baselines.i3d import I3D
from orn.stage2_train.model.image_weights import inflate

ROUND_OFF = 1e-9  # float64 through 57 convolutions

COLOURS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def googlenet() -> GoogLeNet:
    """With random weights, and normalisations that are not the identity."""
    torch.manual_seed(0)
    network = GoogLeNet(aux_logits=True, transform_input=True, init_weights=False).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.02, 0.1)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.normal_(module.bias, std=0.1)
    return network


@pytest.fixture
def i3d(baseline_config) -> I3D:
    return I3D(baseline_config("i3d", base_width=64)).eval()


@pytest.mark.parametrize(("frames", "size"), [(4, (64, 80)), (2, (39, 50)), (1, (32, 32))])
def test_a_still_clip_gives_what_googlenet_gives(
    i3d, googlenet, frames_batch, frames, size
) -> None:
    i3d, googlenet = i3d.double(), deepcopy(googlenet).double()
    inflate(i3d, googlenet.state_dict(), name="random")
    batch = frames_batch(clips=1, frames=frames, size=size)
    batch = replace(batch, frames_BTCHW=batch.frames_BTCHW[:, :1].expand_as(batch.frames_BTCHW))
    still_1CHW = batch.frames_BTCHW[0, :1].double() / 255
    mean, std = (torch.tensor(colour, dtype=torch.float64)[:, None, None] for colour in COLOURS)
    pooled = []
    googlenet.avgpool.register_forward_hook(lambda module, args, out: pooled.append(out))
    with torch.no_grad():
        googlenet((still_1CHW - mean) / std)
        ours = i3d(batch).logits_BA
        expected = i3d.classify(pooled[0].flatten(1))
    scale = float(expected.abs().max())
    torch.testing.assert_close(ours, expected, rtol=ROUND_OFF, atol=ROUND_OFF * scale)


def test_times_of_longer_clips(i3d, googlenet) -> None:
    inflate(i3d, googlenet.state_dict(), name="random")
    steps = {frames: i3d.features(torch.zeros(1, 3, frames, 32, 32)).shape[2] for frames in (8, 32)}
    assert steps == {8: 1, 32: 4}


def test_other_weights_are_refused(i3d) -> None:
    with pytest.raises(CheckpointError, match=r"some\.pth.*I3D of base width 64"):
        inflate(i3d, {}, name="some.pth")
