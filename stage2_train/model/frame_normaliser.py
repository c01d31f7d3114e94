"""Frames as a network takes them: less a mean of each colour, over a deviation.

B clips, T frames of a clip, M = B * T frames folded, H W pixels.
"""

import torch
from torch import Tensor, nn

__all__ = ["Colour", "FrameNormaliser"]

Colour = tuple[float, float, float]
"""Of red, green and blue, as shares of 255."""

_IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
_IMAGENET_STD: Colour = (0.229, 0.224, 0.225)


class FrameNormaliser(nn.Module):
    """Frames less a mean, ImageNet's if not told, over its deviation; nothing in it is learned."""

    mean_311: Tensor
    std_311: Tensor

    def __init__(self, *, mean: Colour = _IMAGENET_MEAN, std: Colour = _IMAGENET_STD) -> None:
        super().__init__()
        for name, values in (("mean_311", mean), ("std_311", std)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        """(M, 3, H, W) normalised frames in channels_last memory, from uint8 RGB."""
        frames_M3HW = frames_BTCHW.flatten(0, 1).to(
            self.mean_311.dtype, memory_format=torch.channels_last
        )
        return (frames_M3HW / 255 - self.mean_311) / self.std_311

    def video(self, frames_BTCHW: Tensor) -> Tensor:
        """(B, 3, T, H, W) normalised frames for convolutions over time, from uint8 RGB."""
        frames_BT3HW = self(frames_BTCHW).unflatten(0, frames_BTCHW.shape[:2])
        return frames_BT3HW.transpose(1, 2).contiguous()
