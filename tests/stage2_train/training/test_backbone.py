"""Systems that start from ImageNet weights, on real frames: at first each sees what the 2D network
sees, frame by frame.

The 2D networks have random weights here, since nothing is downloaded.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from orn.shared.video.read import read_frames
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.image_weights import image_network
from orn.stage2_train.model.inputs import NetworkInputs
from orn.stage2_train.recipe import Recipe, load_recipe
from orn.stage2_train.systems import system_names
from orn.stage2_train.training.backbone import set_initial_weights

ROUND_OFF = 1e-4  # float32, of the largest feature
NUM_FRAMES = 4
FRAME_BY_FRAME = (
    "orn",
    "r50",
    "r18",
    "trn-multiscale",
    *(pytest.param(f"inflation-{row}", marks=pytest.mark.slow) for row in ("04", "08", "09")),
    "inflation-13",
    "inflation-14",
)
"""One of each backbone and choice of 2D and 2.5D kernels; 3D kernels begin with a third of
the 2D one at each time, and so mix frames at once."""


@pytest.fixture(scope="module")
def real_frames(sample_data) -> Tensor:
    """(1, T, 3, 64, 96) uint8, the middle of some frames of a real video."""
    path = next(iter(sorted((sample_data / "clips" / "normal").glob("*.mp4"))))
    images = [frame.image for frame in read_frames(path)]
    chosen = np.linspace(0, len(images) - 1, NUM_FRAMES).astype(int)
    frames_THWC = np.stack([images[row] for row in chosen])
    top, left = (frames_THWC.shape[1] - 64) // 2, (frames_THWC.shape[2] - 96) // 2
    cropped_THWC = np.ascontiguousarray(frames_THWC[:, top : top + 64, left : left + 96])
    return torch.from_numpy(cropped_THWC).permute(0, 3, 1, 2)[None]


@pytest.fixture(scope="module")
def weights_files(tmp_path_factory) -> dict[str, Path]:
    """A file of random weights for each 2D network."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    files = {}
    for name in ("resnet18", "resnet50", "googlenet"):
        files[name] = folder / f"{name}.pth"
        torch.save(_image_network(name).state_dict(), files[name])
    return files


def _image_network(name: str) -> nn.Module:
    if name == "googlenet":
        return models.GoogLeNet(aux_logits=True, transform_input=True, init_weights=False)
    return models.get_model(name, weights=None)


def _recipe(system: str) -> Recipe:
    return load_recipe("ablation_resnet18", num_activities=3, system=system)


def _last_features(network: nn.Module, frames_M3HW: Tensor) -> Tensor:
    """(M, D) features of a torchvision network after global pooling."""
    kept: list[Tensor] = []
    network.avgpool.register_forward_hook(lambda module, args, out: kept.append(out))
    mean, std = (
        torch.tensor(colour)[:, None, None]
        for colour in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.no_grad():
        network.eval()((frames_M3HW / 255 - mean) / std)
    return kept[0].flatten(1)


def _watch_activity_features(network: nn.Module) -> list[Tensor]:
    """Where the spatial means of the last features, frame by frame, are put."""
    kept: list[Tensor] = []
    head = network if hasattr(network, "conv5") else network.activity_head
    head.conv5.register_forward_hook(lambda module, args, out: kept.append(out.mean(dim=(2, 3))))
    return kept


@pytest.mark.real_data
@pytest.mark.parametrize("system", FRAME_BY_FRAME)
def test_a_system_sees_what_the_2d_network_sees(system, real_frames, weights_files) -> None:
    recipe = _recipe(system)
    torch.manual_seed(1)
    network = build_network(recipe.model).eval()
    name = image_network(recipe.model)
    set_initial_weights(network, recipe, weights_files[name])
    kept = _watch_activity_features(network)
    with torch.no_grad():
        network(_inputs(real_frames), heads="activity")
    resnet = _image_network(name)
    resnet.load_state_dict(torch.load(weights_files[name], weights_only=True))
    expected = _last_features(resnet, real_frames[0])
    scale = float(expected.abs().max())
    assert expected.std(dim=0).max() > 1e-3 * scale  # frames differ
    torch.testing.assert_close(kept[0], expected, rtol=ROUND_OFF, atol=ROUND_OFF * scale)


@pytest.mark.real_data
def test_i3d_sees_what_googlenet_sees_of_a_still_clip(real_frames, weights_files) -> None:
    recipe = _recipe("i3d")
    network = build_network(recipe.model).eval()
    set_initial_weights(network, recipe, weights_files["googlenet"])
    still = real_frames[:, :1].expand(-1, NUM_FRAMES, -1, -1, -1)
    kept: list[Tensor] = []
    network.inception5b.register_forward_hook(
        lambda module, args, out: kept.append(out.mean(dim=(3, 4)))
    )
    with torch.no_grad():
        network(_inputs(still), heads="activity")
    googlenet = _image_network("googlenet")
    googlenet.load_state_dict(torch.load(weights_files["googlenet"], weights_only=True))
    expected = _last_features(googlenet, still[0, :1])
    scale = float(expected.abs().max())
    torch.testing.assert_close(kept[0][:, :, 0], expected, rtol=1e-3, atol=1e-3 * scale)


def test_which_systems_have_no_2d_network() -> None:
    without = [name for name in system_names() if image_network(_recipe(name).model) is None]
    assert without == ["coco-shape-object-head", "coco-class-object-head", "c3d-avg"]


def _inputs(frames_BTCHW: Tensor) -> NetworkInputs:
    lead = (*frames_BTCHW.shape[:2], 1)
    return NetworkInputs(
        frames_BTCHW=frames_BTCHW,
        masks_BTKhw=torch.zeros(*lead, 28, 28),
        coverage_BTKhw=torch.zeros(*lead, 4, 6),
        class_scores_BTKS=torch.zeros(*lead, 81),
        valid_BTK=torch.zeros(lead, dtype=torch.bool),
    )
