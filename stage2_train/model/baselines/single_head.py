"""Functions for networks with only an activity head: a check of heads, and seeded dropout."""

import torch
from torch import Tensor

from orn.shared.errors import ConfigError
from orn.stage2_train.settings.model_config import Heads


def dropout(
    values: Tensor, probability: float, *, training: bool, generator: torch.Generator | None
) -> Tensor:
    """Apply dropout with random numbers from `generator` (None for PyTorch's global one).

    With the step's own generator, a resumed run repeats the random numbers.
    """
    if not training or probability == 0:
        return values
    device = torch.device("cpu") if generator is None else generator.device
    draws = torch.rand(values.shape, generator=generator, device=device)
    return values * (draws >= probability).to(values.device, values.dtype) / (1 - probability)


def check_heads(heads: Heads | None) -> None:
    """Raise ConfigError unless `heads` is the activity head or None."""
    if heads not in (None, "activity"):
        raise ConfigError(f"heads: expected activity for a baseline, got {heads!r}")
