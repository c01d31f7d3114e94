"""The 2.5D ResNet against torchvision's 2D one frame by frame, its temporal kernels by loops."""

import pytest
import torch
from torch import Tensor
from torchvision import models

from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.image_weights import inflate
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.model.resnet_25d import FrameConv, Stage, TemporalConv, Trunk

ROUND_OFF = 1e-10  # float64, relative, over up to 50 layers


def _images(count: int, height: int = 33, width: int = 47) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, height, width, generator=generator, dtype=torch.float64)


def test_new_temporal_kernel_changes_no_bit() -> None:
    feats_MChw = torch.randn(6, 5, 3, 4)
    assert torch.equal(TemporalConv(5)(feats_MChw, 3), feats_MChw)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("clips", "frames"), [(2, 3), (3, 1), (1, 5)])
def test_temporal_kernel_equals_loops(clips, frames, memory_format) -> None:
    torch.manual_seed(0)
    conv = TemporalConv(4).double()
    torch.nn.init.normal_(conv.weight)
    feats_MChw = torch.randn(clips * frames, 4, 2, 3, dtype=torch.float64)
    mixed_MChw = conv(feats_MChw.to(memory_format=memory_format), frames)
    for clip in range(clips):
        for t in range(frames):
            expected_Chw = torch.zeros(4, 2, 3, dtype=torch.float64)
            for offset in (-1, 0, 1):
                if 0 <= t + offset < frames:
                    kernel_CC = conv.weight[:, :, 1 + offset, 0]
                    neighbour_Chw = feats_MChw[clip * frames + t + offset]
                    expected_Chw += torch.einsum("oi,ihw->ohw", kernel_CC, neighbour_Chw)
            torch.testing.assert_close(mixed_MChw[clip * frames + t], expected_Chw)


@pytest.mark.parametrize(
    ("backbone", "kernels"),
    [
        ("resnet18", ("2.5d", "2d", "2d", "2d", "2.5d")),
        ("resnet18", ("3d", "2d", "2.5d", "2d", "3d")),
        pytest.param("resnet50", ("2.5d", "2d", "2d", "2d", "2.5d"), marks=pytest.mark.slow),
    ],
)
def test_inflated_network_equals_torchvision_frame_by_frame(backbone, kernels, randomise) -> None:
    torch.manual_seed(0)
    resnet = models.get_model(backbone, weights=None)
    randomise(resnet)
    config = NetworkConfig(num_activities=2, backbone=backbone, kernels=kernels)
    network = ObjectVideoNetwork(config)
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
        objects = network.object_head.conv5(trunk, 2)
    assert trunk.shape[2:] == objects.shape[2:] == (3, 3)
    assert activity.shape == (2, config.feature_width, 2, 2)
    assert expected_activity.std() > 1e-3
    for found, expected in (
        (trunk, expected_trunk),
        (activity, expected_activity),
        (objects, expected_objects),
    ):
        scale = float(expected.abs().max())
        torch.testing.assert_close(found, expected, rtol=ROUND_OFF, atol=ROUND_OFF * scale)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (7, 2)])
def test_3d_kernel_equals_a_sum_of_2d_kernels(size, stride, memory_format) -> None:
    torch.manual_seed(0)
    conv = FrameConv(2, 3, size=size, stride=stride, kernel="3d").double()
    torch.nn.init.normal_(conv.space_time.weight)
    clips, frames = 2, 3
    feats_MChw = (
        torch.randn(clips * frames, 2, 9, 8).double().contiguous(memory_format=memory_format)
    )
    mixed_MChw = conv(feats_MChw, frames)
    for clip in range(clips):
        for t in range(frames):
            expected = torch.zeros_like(mixed_MChw[0])
            for offset in (-1, 0, 1):
                if 0 <= t + offset < frames:
                    expected += torch.nn.functional.conv2d(
                        feats_MChw[clip * frames + t + offset][None],
                        conv.space_time.weight[:, :, offset + 1],
                        stride=stride,
                        padding=size // 2,
                    )[0]
            torch.testing.assert_close(mixed_MChw[clip * frames + t], expected)


def test_kernels_follow_the_configuration() -> None:
    def temporal(stage: torch.nn.Module) -> list[str]:
        convs = [(n, m) for n, m in stage.named_modules() if isinstance(m, FrameConv)]
        return [name for name, conv in convs if conv.temporal is not None]

    default = NetworkConfig(num_activities=2, base_width=2)
    assert temporal(Trunk(default)) == ["conv1"]
    assert len(temporal(Stage(default, number=5, stride=1))) == 4
    bottlenecks = NetworkConfig(num_activities=2, base_width=2, backbone="resnet50")
    assert temporal(Stage(bottlenecks, number=5, stride=1)) == [
        f"blocks.{block}.conv2" for block in range(3)
    ]
    other = NetworkConfig(num_activities=2, base_width=2, kernels=("2d", "2.5d", "2d", "2d", "2d"))
    assert len(temporal(Trunk(other))) == 4
    assert temporal(Stage(other, number=5, stride=1)) == []


def test_channels_last_throughout() -> None:
    config = NetworkConfig(num_activities=2, base_width=4)
    network = ObjectVideoNetwork(config)
    frames_M3HW = _images(4).float().contiguous(memory_format=torch.channels_last)
    trunk = network.trunk(frames_M3HW, 2)
    feats_MDhw = network.object_head.conv5(trunk, 2)
    assert trunk.is_contiguous(memory_format=torch.channels_last)
    assert feats_MDhw.is_contiguous(memory_format=torch.channels_last)
