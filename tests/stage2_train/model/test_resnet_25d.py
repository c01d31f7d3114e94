"""The 2.5D ResNet against torchvision's 2D one frame by frame, its temporal kernels by loops."""

import pytest
import torch
from torch import Tensor
from torchvision import models

from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.model.image_weights import inflate
from orn.stage2_train.model.resnet_25d import TemporalConv
from orn.stage2_train.settings.model_config import NetworkConfig
from tests.stage2_train.model.conftest import randomize

ROUND_OFF = 1e-10  # float64, relative, over up to 50 layers


def _images(count: int, height: int = 33, width: int = 47) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, height, width, generator=generator, dtype=torch.float64)


def test_new_temporal_kernel_changes_no_bit() -> None:
    feats_MChw = torch.randn(6, 5, 3, 4)
    assert torch.equal(TemporalConv(5)(feats_MChw, 3), feats_MChw)


@pytest.mark.parametrize(
    ("backbone", "kernels"),
    [
        ("resnet18", ("2.5d", "2d", "3d", "2d", "2.5d")),
        pytest.param("resnet50", ("2.5d", "2d", "2d", "2d", "2.5d"), marks=pytest.mark.slow),
    ],
)
def test_inflated_network_equals_torchvision_frame_by_frame(backbone, kernels) -> None:
    torch.manual_seed(0)
    resnet = models.get_model(backbone, weights=None)
    randomize(resnet)
    config = NetworkConfig(num_activities=2, backbone=backbone, kernels=kernels)
    network = build_object_network(config)
    torch.nn.init.normal_(network.trunk.conv1.temporal.weight)
    inflate(network, resnet.state_dict(), name="random")
    resnet, network = resnet.double().eval(), network.double().eval()
    images_M3HW = _images(2)
    with torch.no_grad():
        hidden = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(images_M3HW))))
        expected_trunk = resnet.layer3(resnet.layer2(resnet.layer1(hidden)))
        expected_activity = resnet.layer4(expected_trunk)
        trunk = network.trunk(images_M3HW, 2)
        activity = network.activity_head.conv5(trunk, 2)
        resnet.layer4[0].conv1.stride = resnet.layer4[0].conv2.stride = (1, 1)
        resnet.layer4[0].downsample[0].stride = (1, 1)
        expected_objects = resnet.layer4(expected_trunk)
        objects = network.object_head.objects.parts["appearance"].conv5(trunk, 2)
    assert trunk.shape[2:] == objects.shape[2:] == (3, 3)
    assert activity.shape == (2, resnet.fc.in_features, 2, 2)
    assert expected_activity.std() > 1e-3
    for actual, expected in (
        (trunk, expected_trunk),
        (activity, expected_activity),
        (objects, expected_objects),
    ):
        scale = float(expected.abs().max())
        torch.testing.assert_close(actual, expected, rtol=ROUND_OFF, atol=ROUND_OFF * scale)
