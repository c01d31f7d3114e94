"""Systems that start from ImageNet weights, on real frames: at first each sees what the 2D network
sees, frame by frame.

The 2D networks have random weights here, since nothing is downloaded.
"""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from orn.shared.video.read import read_frames
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.image_weights import image_network
from orn.stage2_train.model.inputs import NetworkInputs
from orn.stage2_train.settings.recipe import Recipe, load_recipe
from orn.stage2_train.settings.systems import system_names
from orn.stage2_train.training.backbone import set_initial_weights

ROUND_OFF = 1e-4  # float32, of the largest feature
NUM_FRAMES = 4
FRAME_BY_FRAME = (
    "orn",
    "trn-multiscale",
    "inflation-14",
    pytest.param("r50", marks=pytest.mark.slow),
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


def _recipe(system: str) -> Recipe:
    return load_recipe("ablation_resnet18", num_activities=3, system=system)


def _last_features(network: nn.Module, frames_M3HW: Tensor) -> Tensor:
    """(M, D) features of a torchvision network after global pooling."""
    kept: list[Tensor] = []
    network.avgpool.register_forward_hook(lambda module, args, out: kept.append(out))
    mean, std = (
        torch.tensor(color)[:, None, None]
        for color in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
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
def test_a_system_sees_what_the_2d_network_sees(system, real_frames, tmp_path) -> None:
    recipe = _recipe(system)
    torch.manual_seed(1)
    network = build_network(recipe.model).eval()
    resnet = models.get_model(image_network(recipe.model), weights=None)
    torch.save(resnet.state_dict(), tmp_path / "weights.pth")
    set_initial_weights(network, recipe, tmp_path / "weights.pth")
    kept = _watch_activity_features(network)
    with torch.no_grad():
        network(_inputs(real_frames), heads="activity")
    expected = _last_features(resnet, real_frames[0])
    scale = float(expected.abs().max())
    assert expected.std(dim=0).max() > 1e-3 * scale  # frames differ
    torch.testing.assert_close(kept[0], expected, rtol=ROUND_OFF, atol=ROUND_OFF * scale)


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
