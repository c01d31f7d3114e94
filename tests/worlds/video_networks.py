"""A small video network of torchvision with random weights in a file, as a user passes them."""

from pathlib import Path

import torch
from torchvision.models import get_model

VIDEO_NETWORK = "torchvision/s3d"
"""The smallest network, with a stride of 32."""


def write_video_weights(path: Path, *, network: str = VIDEO_NETWORK, seed: int = 0) -> Path:
    """Writes random weights of a video network."""
    torch.manual_seed(seed)
    torch.save(get_model(network.removeprefix("torchvision/")).state_dict(), path)
    return path
