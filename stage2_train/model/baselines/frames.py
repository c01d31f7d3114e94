"""What the baselines share: frames as a video, dropout whose draws are the step's own, outputs.

B clips, T frames of a clip, H W pixels, A activity classes.
"""

import torch
from torch import Tensor

from shared.errors import ConfigError
from stage2_train.model.config import Heads
from stage2_train.model.inputs import NetworkOutput

__all__ = ["activity_output", "check_heads", "dropout", "normalised_video"]


def normalised_video(
    frames_BTCHW: Tensor,
    *,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    dtype: torch.dtype,
) -> Tensor:
    """(B, 3, T, H, W) frames less a mean, over a deviation of each colour.

    Args:
        frames_BTCHW: uint8 RGB.
        mean: of red, green and blue, as shares of 255.
        std: the same.
        dtype: of the result.
    """
    video_B3THW = frames_BTCHW.transpose(1, 2).to(dtype) / 255
    mean_3111, std_3111 = (
        torch.tensor(values, dtype=dtype, device=frames_BTCHW.device).view(3, 1, 1, 1)
        for values in (mean, std)
    )
    return (video_B3THW - mean_3111) / std_3111


def dropout(
    values: Tensor, share: float, *, training: bool, generator: torch.Generator | None
) -> Tensor:
    """The values, in training a random share of them zero and the others larger to match.

    Draws from `generator` (torch's global one if None), so that a resumed training draws the same.
    """
    if not training or share == 0:
        return values
    device = torch.device("cpu") if generator is None else generator.device
    draws = torch.rand(values.shape, generator=generator, device=device)
    return values * (draws >= share).to(values.device, values.dtype) / (1 - share)


def check_heads(heads: Heads | None) -> None:
    """Raises ConfigError where a head is asked for that a baseline lacks."""
    if heads not in (None, "activity"):
        raise ConfigError(f"heads: a baseline has the activity head alone, found {heads!r}")


def activity_output(logits_BA: Tensor) -> NetworkOutput:
    """Logits of a network that has no object head."""
    return NetworkOutput(
        activity_logits_BA=logits_BA,
        object_logits_BA=None,
        class_logits_BTKS=None,
    )
