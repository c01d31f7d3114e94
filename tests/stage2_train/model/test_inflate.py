"""Reading torchvision's ResNet weights, and refusing what does not fit.

That an inflated network computes what torchvision's does is in test_resnet_25d.
"""

import pytest
import torch
from torchvision.models import get_model, resnet18

from orn.shared.errors import CheckpointError
from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.model.image_weights import inflate
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.settings.model_config import NetworkConfig


@pytest.fixture(scope="module")
def resnet_weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return resnet18(weights=None).state_dict()


@pytest.fixture(scope="module")
def network() -> ObjectVideoNetwork:
    return build_object_network(NetworkConfig(num_activities=2))


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("layer2.0.bn1.weight", None, "missing"),
        ("layer1.2.conv1.weight", torch.zeros(1), "unexpected"),
        ("conv1.weight", torch.zeros(99, 3, 7, 7), r"\(64, 3, 7, 7\), got \(99, 3, 7, 7\)"),
    ],
)
def test_refuses_other_weights_and_changes_nothing(
    name, given, message, network, resnet_weights
) -> None:
    changed = {name: given, "bn1.bias": torch.full((64,), 7.0)}
    weights = {
        key: tensor for key, tensor in (resnet_weights | changed).items() if tensor is not None
    }
    with pytest.raises(CheckpointError, match=rf"some\.pth.*{message}"):
        inflate(network, weights, name="some.pth")
    assert not (network.trunk.bn1.bias == 7).any()


FLAT = {"num_activities": 2, "kernels": ("2d",) * 5}


def test_the_object_heads_conv5_may_stay_random() -> None:
    made = [build_object_network(NetworkConfig(**FLAT)) for _ in range(2)]
    state = get_model("resnet18", weights=None).state_dict()
    before = {name: row.clone() for name, row in made[1].state_dict().items()}
    for network, keeps in zip(made, (False, True), strict=True):
        inflate(network, state, name="test", keeps_object_conv5=keeps)
    of_pictures, random = (module.state_dict() for module in made)
    own = [name for name in random if name.startswith("object_head.")]
    assert all(torch.equal(random[name], before[name]) for name in own)
    conv5 = "object_head.objects.parts.appearance.conv5.blocks.0.conv1.spatial.weight"
    assert torch.equal(of_pictures[conv5], state["layer4.0.conv1.weight"])
    assert torch.equal(random["trunk.conv1.spatial.weight"], state["conv1.weight"])
