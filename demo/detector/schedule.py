"""What each step of a training draws, as a function of the seed and the step's number alone.

So a training that was killed and resumed goes on as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

__all__ = ["augmentation_generator", "frame_order", "learning_rate", "step_seed"]

# Second element of a generator's seed: what it draws.
_ORDER, _AUGMENTATION, _SAMPLING = range(3)


def frame_order(count: int, *, batch: int, seed: int, first: int) -> Iterator[list[int]]:
    """Batches of frame indices from step `first` on, without end.

    Each epoch has every frame once, in an order of its own; a batch may span two epochs.
    """
    position = first * batch
    while True:
        places = [divmod(place, count) for place in range(position, position + batch)]
        orders = {epoch: _epoch_order(count, seed, epoch) for epoch, _ in places}
        position += batch
        yield [int(orders[epoch][offset]) for epoch, offset in places]


def augmentation_generator(seed: int, step: int) -> np.random.Generator:
    """The generator that flips and recolours the frames of a step."""
    return np.random.default_rng([seed, _AUGMENTATION, step])


def step_seed(seed: int, step: int) -> int:
    """Seed of torch's global generator in a step; mmdet samples proposals with it."""
    return int(np.random.default_rng([seed, _SAMPLING, step]).integers(2**62))


def learning_rate(step: int, *, highest: float, warmup: int, iterations: int) -> float:
    """The rate of a step: rises linearly over `warmup` steps, then falls as a half cosine to 0."""
    if step < warmup:
        return highest * (step + 1) / warmup
    rest = (step - warmup) / max(1, iterations - warmup)
    return highest * 0.5 * (1 + math.cos(math.pi * rest))


def _epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    order: list[int] = np.random.default_rng([seed, _ORDER, epoch]).permutation(count).tolist()
    return order
