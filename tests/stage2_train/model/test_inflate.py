"""Reading torchvision's ResNet weights, and refusing what does not fit.

That an inflated network computes what torchvision's does is in test_resnet_25d.
"""

import re

import pytest
import torch
from torchvision.models import get_model_weights, resnet18

from orn.shared.errors import CheckpointError
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.image_weights import (
    fetch_imagenet_weights,
    imagenet_to_fetch,
    inflate,
    read_weights,
)
from orn.stage2_train.model.network import ObjectVideoNetwork
from tests.weights_server import WeightsServer


@pytest.fixture(scope="module")
def resnet_weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return resnet18(weights=None).state_dict()


@pytest.fixture(scope="module")
def network() -> ObjectVideoNetwork:
    return ObjectVideoNetwork(NetworkConfig(num_activities=2))


def test_sets_both_conv5_and_temporal_kernels(network, resnet_weights, tmp_path) -> None:
    torch.nn.init.normal_(network.trunk.conv1.temporal.weight)
    torch.save(resnet_weights, tmp_path / "resnet18.pth")
    inflate(network, read_weights(tmp_path / "resnet18.pth"), name="resnet18.pth")
    ours = network.state_dict()
    for head in ("activity_head.conv5", "object_head.conv5"):
        assert torch.equal(
            ours[f"{head}.blocks.1.conv2.spatial.weight"], resnet_weights["layer4.1.conv2.weight"]
        )
        assert torch.equal(
            ours[f"{head}.blocks.0.downsample.bn.bias"],
            resnet_weights["layer4.0.downsample.1.bias"],
        )
    assert torch.equal(ours["trunk.conv1.spatial.weight"], resnet_weights["conv1.weight"])
    assert torch.equal(ours["trunk.bn1.running_var"], resnet_weights["bn1.running_var"])
    assert torch.equal(
        ours["trunk.conv4.blocks.1.conv1.spatial.weight"], resnet_weights["layer3.1.conv1.weight"]
    )
    assert torch.equal(ours["trunk.conv1.temporal.weight"][:, :, 1, 0], torch.eye(64))
    assert not ours["trunk.conv1.temporal.weight"][:, :, ::2].any()


@pytest.mark.parametrize("case", ["missing", "extra", "shape"])
def test_refuses_other_weights_and_changes_nothing(case, network, resnet_weights) -> None:
    weights = dict(resnet_weights)
    if case == "missing":
        del weights["layer2.0.bn1.weight"]
        message = "1 weights are missing, first layer2.0.bn1.weight"
    elif case == "extra":
        weights["layer1.2.conv1.weight"] = torch.zeros(1)
        message = "1 weights have no place in it, first layer1.2.conv1.weight"
    else:
        weights["conv1.weight"] = torch.zeros(32, 3, 7, 7)
        message = "wanted shape (64, 3, 7, 7), found (32, 3, 7, 7)"
    weights["bn1.bias"] = torch.full((64,), 7.0)
    with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
        inflate(network, weights, name="some.pth")
    assert "ResNet weights some.pth do not fit the network's backbone" in str(caught.value)
    assert not (network.trunk.bn1.bias == 7).any()


def test_batch_counts_may_be_absent(network, resnet_weights) -> None:
    weights = {k: v for k, v in resnet_weights.items() if not k.endswith("num_batches_tracked")}
    inflate(network, weights, name="old.pth")
    assert torch.equal(network.trunk.bn1.weight, weights["bn1.weight"])


def test_refuses_files_that_are_no_state_dict(tmp_path) -> None:
    with pytest.raises(CheckpointError, match=r"absent\.pth: cannot be read \(No such"):
        read_weights(tmp_path / "absent.pth")
    (tmp_path / "text.pth").write_text("not a checkpoint")
    with pytest.raises(CheckpointError, match=r"text\.pth: wanted a state dict .* is damaged"):
        read_weights(tmp_path / "text.pth")
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"other\.pth: wanted a state dict .* something"):
        read_weights(tmp_path / "other.pth")


class _Runs:
    """A pickle that would write a file when loaded without care."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (self.path, "w")


def test_runs_no_code_of_the_file(tmp_path) -> None:
    torch.save({"conv1.weight": _Runs(str(tmp_path / "proof"))}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match=r"evil\.pth: wanted .*io.open.* not run"):
        read_weights(tmp_path / "evil.pth")
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "googlenet"])
def test_imagenet_weights_come_from_torchvision_and_are_checked(
    weights_host: WeightsServer, monkeypatch, name: str
) -> None:
    url = imagenet_to_fetch(name)
    assert url == get_model_weights(name).IMAGENET1K_V1.url
    weights_host.files[url.rpartition("/")[2]] = b"other bytes"
    monkeypatch.setenv("ORN_WEIGHTS_MIRROR", weights_host.address)
    with pytest.raises(CheckpointError) as refused:
        fetch_imagenet_weights(name)
    for part in (f"weights of {name}: ", "another file", "--weights", "initial_weights=random"):
        assert part in str(refused.value)
    assert imagenet_to_fetch(name) == url
