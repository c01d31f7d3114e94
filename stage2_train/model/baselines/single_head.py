"""What networks share that have the activity head alone: its check, and dropout whose draws are the
step's own."""

import torch
from torch import Tensor

from orn.shared.errors import ConfigError
from orn.stage2_train.model.config import Heads


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
