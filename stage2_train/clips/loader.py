"""The order of clips in training and evaluation, and the loaders that make them in workers.

With several training processes, each takes its own share of every global batch, so that the order
depends on (seed, epoch) alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Sampler

from shared.errors import ConfigError
from stage2_train.clips.batch import ClipBatch, collate
from stage2_train.clips.dataset import ClipDataset, ClipRequest

__all__ = ["LoaderSettings", "evaluation_loader", "num_training_batches", "training_loader"]

Batches = Callable[[], Iterator[list[ClipRequest]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderSettings:
    """How batches are made; nothing here changes what is in them but `batch_size`."""

    batch_size: int
    """Clips of a batch of one process."""
    workers: int = 0
    """Worker processes; 0 makes batches in the training process."""
    pin_memory: bool = False
    """Whether batches lie in page-locked memory, for a GPU."""
    rank: int = 0
    """Which of the training processes this is."""
    world_size: int = 1
    """How many there are."""


class _BatchSampler(Sampler[list[ClipRequest]]):
    """Batches of requests, made while they are asked for."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[list[ClipRequest]]:
        return self._batches()


def num_training_batches(num_segments: int, settings: LoaderSettings) -> int:
    """Batches of an epoch of each process: whole ones, or a short one where there is no whole one.

    Raises:
        ConfigError: if there are too few segments for every process to have a batch.
    """
    global_batch = settings.batch_size * settings.world_size
    if num_segments < global_batch and settings.world_size > 1:
        raise ConfigError(
            f"training: wanted at least {global_batch} segments for {settings.world_size} "
            f"processes of batch size {settings.batch_size}, found {num_segments}"
        )
    return max(num_segments // global_batch, 1)


def training_loader(
    dataset: ClipDataset, settings: LoaderSettings, *, epochs: range, first_batch: int = 0
) -> DataLoader[ClipBatch]:
    """Batches of all `epochs`, one after another, each a new order of the segments.

    An epoch has `num_training_batches`; the segments left over are other ones each time.

    Args:
        dataset: the clips.
        settings: sizes and workers.
        epochs: numbers of the epochs.
        first_batch: how many batches of the first epoch to leave out, for resuming.
    """

    def batches() -> Iterator[list[ClipRequest]]:
        for epoch in epochs:
            skipped = first_batch if epoch == epochs.start else 0
            yield from _epoch_batches(dataset, settings, epoch)[skipped:]

    return _loader(dataset, batches, settings)


def evaluation_loader(
    dataset: ClipDataset, settings: LoaderSettings, *, clip: int = 0
) -> DataLoader[ClipBatch]:
    """One test clip of every segment, in order; process r of n takes segments r, r + n, ..."""
    own = range(settings.rank, len(dataset), settings.world_size)

    def batches() -> Iterator[list[ClipRequest]]:
        for start in range(0, len(own), settings.batch_size):
            yield [
                ClipRequest(segment, clip=clip)
                for segment in own[start : start + settings.batch_size]
            ]

    return _loader(dataset, batches, settings)


def _epoch_batches(
    dataset: ClipDataset, settings: LoaderSettings, epoch: int
) -> list[list[ClipRequest]]:
    generator = np.random.default_rng((dataset.settings.seed, epoch))
    order = generator.permutation(len(dataset)).tolist()
    size = settings.batch_size
    num_batches = num_training_batches(len(dataset), settings)
    starts = [(batch * settings.world_size + settings.rank) * size for batch in range(num_batches)]
    return [
        [ClipRequest(segment, epoch=epoch) for segment in order[start : start + size]]
        for start in starts
    ]


def _loader(
    dataset: ClipDataset, batches: Batches, settings: LoaderSettings
) -> DataLoader[ClipBatch]:
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_sampler=_BatchSampler(batches),
        num_workers=settings.workers,
        collate_fn=collate,
        pin_memory=settings.pin_memory,
    )
    return loader
