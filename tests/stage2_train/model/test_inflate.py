"""Reading torchvision's ResNet weights, and refusing what does not fit.

That an inflated network computes what torchvision's does is in test_resnet_25d.
"""

import pytest
import torch
from torchvision.models import get_model, resnet18

from orn.shared.errors import CheckpointError
from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.model.image_weights import inflate
from orn.stage2_train.settings.model_config import NetworkConfig


@pytest.mark.parametrize(
    ("missing", "message"), [("layer2.0.bn1.weight", "missing"), (None, r"\(64,\), got \(7,\)")]
)
def test_refuses_other_weights_and_changes_nothing(missing, message) -> None:
    network = build_object_network(NetworkConfig(num_activities=2))
    weights = resnet18(weights=None).state_dict() | {"bn1.bias": torch.full((64,), 7.0)}
    weights["bn1.weight"] = torch.ones(7 if missing is None else 64)
    weights.pop(missing, None)
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
