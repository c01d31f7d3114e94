"""A small image network of timm with random weights in a file, as a user passes them."""

from pathlib import Path

import timm
import torch

NETWORK = "timm/test_efficientnet"
"""An image network of 0.4 million weights, with a stride of 32."""


def write_image_weights(path: Path, *, network: str = NETWORK, seed: int = 0) -> Path:
    """Writes random weights of an image network, with batch statistics that are no defaults."""
    torch.manual_seed(seed)
    whole = timm.create_model(network.removeprefix("timm/"))
    whole(torch.randn(4, 3, 64, 64))  # in training mode
    torch.save(whole.state_dict(), path)
    return path
