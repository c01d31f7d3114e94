"""A trained ResNet becomes the first weights of another training."""

import pytest
import torch
from torchvision.models import resnet18, resnet50

from orn.shared.errors import ConfigError
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.image_weights import export_resnet, inflate
from orn.stage2_train.model.network import ObjectVideoNetwork

FLAT = {"num_activities": 2, "kernels": ("2d",) * 5}


@pytest.mark.parametrize("heads", ["activity", "object", "both"])
@pytest.mark.parametrize("backbone", ["resnet18", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_gives_back_what_inflate_was_given(backbone: str, heads: str) -> None:
    torch.manual_seed(1)
    given = {"resnet18": resnet18, "resnet50": resnet50}[backbone](weights=None).state_dict()
    given = {key: torch.rand_like(value.float()) for key, value in given.items()}
    network = ObjectVideoNetwork(NetworkConfig(backbone=backbone, heads=heads, **FLAT))
    inflate(network, given, name="test")
    exported = export_resnet(network)
    assert exported.keys() == given.keys() - {"fc.weight", "fc.bias"}
    for key, tensor in exported.items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(tensor, given[key]), key
            assert tensor.is_contiguous()


def test_of_two_conv5_takes_that_of_the_activity_head() -> None:
    network = ObjectVideoNetwork(NetworkConfig(**FLAT))
    torch.nn.init.constant_(network.activity_head.conv5.blocks[0].bn1.weight, 7.0)
    assert export_resnet(network)["layer4.0.bn1.weight"].eq(7.0).all()


@pytest.mark.parametrize("kernel", ["2.5d", "3d"])
def test_refuses_kernels_over_time(kernel: str) -> None:
    kernels = ("2d",) * 4 + (kernel,)
    network = ObjectVideoNetwork(NetworkConfig(num_activities=2, kernels=kernels))
    with pytest.raises(ConfigError, match="conv5"):
        export_resnet(network)


def test_refuses_a_network_that_looks_at_no_pictures() -> None:
    config = NetworkConfig(heads="object", object_parts=("class",), **FLAT)
    with pytest.raises(ConfigError, match="no pictures"):
        export_resnet(ObjectVideoNetwork(config))
