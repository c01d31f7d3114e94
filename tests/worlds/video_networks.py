"""A small video network of torchvision with random weights in a file, as a user passes them."""

from pathlib import Path

import torch
from torchvision.models import get_model

VIDEO_NETWORK = "torchvision/s3d"
"""The smallest network, with a stride of 32."""


def write_video_weights(path: Path, *, network: str = VIDEO_NETWORK, seed: int = 0) -> Path:
    """Writes random weights of a video network, with which maps do not vanish (He et al. 2015)."""
    torch.manual_seed(seed)
    whole = get_model(network.removeprefix("torchvision/"))
    for layer in whole.modules():
        if isinstance(layer, torch.nn.Conv3d):
            torch.nn.init.kaiming_normal_(layer.weight)
    torch.save(whole.state_dict(), path)
    return path
