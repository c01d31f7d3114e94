"""Batches of clips, their order, and the data loaders.

With several training processes, each process takes its share of every global batch, so that the
order of clips depends only on (seed, epoch).

B clips, T frames per clip, K object slots, S detector classes including background, A activity
classes, H W pixels, h w cells.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from orn.shared.errors import ConfigError, PipelineError, TrainingError
from orn.shared.escaped_text import use_lines_in_worker
from orn.shared.jobs.workers import interrupts_delayed
from orn.shared.text import counted
from orn.stage2_train.clips.clip_draws import ClipRequest
from orn.stage2_train.clips.dataset import ClipDataset, ClipSample
from orn.stage2_train.model.inputs import ClipBatch


def collate(samples: Sequence[ClipSample]) -> ClipBatch:
    """Collate one or more clips of equal length and frame size; K is the largest number of slots in
    any of the clips."""
    slots = [sample.slots for sample in samples]
    frames = _stacked([sample.frames for sample in samples])
    windows = _stacked([sample.windows for sample in samples])
    return ClipBatch(
        ids=tuple(sample.id for sample in samples),
        crop=samples[0].crop,
        frames_BTCHW=None if frames is None else frames.movedim(-1, -3),
        maps_BTChw=_stacked([sample.maps for sample in samples]),
        motion_BTChw=_stacked([sample.motion for sample in samples]),
        windows_BTNCHW=None if windows is None else windows.movedim(-1, -3),
        masks_BTKhw=_padded([slot.masks for slot in slots]),
        coverage_BTKhw=_padded([slot.coverage for slot in slots]),
        boxes_BTK4=_padded([slot.boxes for slot in slots]),
        seconds_BT=torch.from_numpy(np.stack([_since_first(sample.seconds) for sample in samples])),
        class_scores_BTKS=_padded([slot.class_scores for slot in slots]),
        detector_labels_BTK=_padded([slot.labels for slot in slots]),
        valid_BTK=_padded([slot.valid for slot in slots]),
        labels=torch.from_numpy(np.stack([np.asarray(sample.label) for sample in samples])),
    )


def _stacked(arrays: Sequence[np.ndarray | None]) -> Tensor | None:
    """Return arrays of equal shape in a tensor; None if they are not read."""
    there = [array for array in arrays if array is not None]
    return torch.from_numpy(np.stack(there)) if there else None


def _since_first(seconds_T: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return times since the earliest one, which float32 resolves also in a long video."""
    return (seconds_T - seconds_T.min()).astype(np.float32)


def _padded(arrays: Sequence[np.ndarray]) -> Tensor:
    """Return (B, T, K, ...) from arrays (T, k, ...), zero-padded to the largest k."""
    num_slots = max(array.shape[1] for array in arrays)
    num_frames, _, *rest = arrays[0].shape
    padded = np.zeros((len(arrays), num_frames, num_slots, *rest), arrays[0].dtype)
    for clip, array in enumerate(arrays):
        padded[clip, :, : array.shape[1]] = array
    return torch.from_numpy(padded)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderSettings:
    """Settings of a loader; only `batch_size` changes the contents of batches."""

    batch_size: int
    """Clips per batch and process."""
    workers: int = 0
    """Number of worker processes; 0 loads batches in the training process."""
    pin_memory: bool = False
    """Whether batches are in pinned memory, for a GPU."""
    rank: int = 0
    """Rank of this training process."""
    world_size: int = 1
    """Number of training processes."""


def num_training_batches(num_segments: int, settings: LoaderSettings) -> int:
    """Return the number of batches per epoch and process. Batches are complete, unless there are
    too few segments, which form one incomplete batch.

    Raises:
        ConfigError: if there are too few segments for a batch in every process.
    """
    global_batch = settings.batch_size * settings.world_size
    if num_segments < global_batch and settings.world_size > 1:
        raise ConfigError(
            f"training: expected at least {counted(global_batch, 'segment')} for "
            f"{counted(settings.world_size, 'process', 'processes')} with batch size "
            f"{settings.batch_size}, got {num_segments}; use a smaller batch size or fewer "
            "processes"
        )
    return max(num_segments // global_batch, 1)


def training_loader(
    dataset: ClipDataset, settings: LoaderSettings, *, epochs: range, first_batch: int = 0
) -> Iterable[ClipBatch]:
    """Return the batches for all `epochs`, with segments shuffled in each epoch.

    An epoch has `num_training_batches` batches; its remaining segments are not used. To resume,
    `first_batch` skips batches of the first epoch.
    """

    def batches() -> Iterator[list[ClipRequest]]:
        size, stride = settings.batch_size, settings.batch_size * settings.world_size
        for epoch in epochs:
            generator = np.random.default_rng((dataset.settings.seed, epoch))
            order = dataset.drawn(generator)
            skipped = first_batch if epoch == epochs.start else 0
            for batch in range(skipped, num_training_batches(len(order), settings)):
                start = batch * stride + settings.rank * size
                yield [ClipRequest(segment, epoch=epoch) for segment in order[start : start + size]]

    return _loader(dataset, batches, settings)


def evaluation_loader(
    dataset: ClipDataset, settings: LoaderSettings, *, num_clips: int = 1
) -> Iterable[ClipBatch]:
    """Return the batches of `evaluation_requests`.

    Raises:
        ConfigError: if the store has too few frames for these clips.
    """
    if dataset.settings.has_one_clip and num_clips > 1:
        raise ConfigError(
            "views: the clip store has the frames of one clip of each segment; evaluate one, or "
            "store more frames with `orn clips ... --rate`"
        )
    return _loader(
        dataset, lambda: evaluation_requests(len(dataset), settings, num_clips=num_clips), settings
    )


def evaluation_requests(
    num_segments: int, settings: LoaderSettings, *, num_clips: int
) -> Iterator[list[ClipRequest]]:
    """Yield batches of requests, each for one clip of consecutive segments.

    Process r of n evaluates segments r, r + n, ... All clips of a batch are assigned consecutively
    to the same worker, which has cached the frames and objects.
    """
    own = range(settings.rank, num_segments, settings.world_size)
    size = settings.batch_size
    groups = [own[start : start + size] for start in range(0, len(own), size)]
    together = max(settings.workers, 1)  # PyTorch assigns batches to workers in turn
    for first in range(0, len(groups), together):
        for clip in range(num_clips):
            for group in groups[first : first + together]:
                yield [ClipRequest(segment, clip=clip) for segment in group]


@dataclass(frozen=True, slots=True)
class _Requests:
    """The requests of each batch, which can be iterated several times."""

    batches: Callable[[], Iterator[list[ClipRequest]]]
    resolve: Callable[[ClipRequest], ClipRequest] = lambda request: request

    def __iter__(self) -> Iterator[list[ClipRequest]]:
        for batch in self.batches():
            yield [self.resolve(request) for request in batch]


@contextmanager
def worker_losses_reported() -> Iterator[None]:
    """Convert PyTorch's errors about lost workers, which can be raised anywhere in this process.

    Raises:
        TrainingError: if a worker process has terminated.
    """
    try:
        yield
    except RuntimeError as err:
        if not str(err).startswith("DataLoader worker (pid"):
            raise
        raise TrainingError(
            f"{str(err).splitlines()[0].strip()} Usually, the machine ran out of memory or a file "
            "was truncated; use fewer --workers (the same command resumes)"
        ) from err


@dataclass(frozen=True, slots=True)
class _Batches:
    """Batches from a loader; errors in workers are re-raised without the worker's traceback."""

    loader: DataLoader[ClipBatch]

    def __iter__(self) -> Iterator[ClipBatch]:
        with interrupts_delayed():  # inherited by the workers
            batches = iter(self.loader)  # start workers now, not with the first batch
        return self._reported(batches)

    def _reported(self, batches: Iterator[ClipBatch]) -> Iterator[ClipBatch]:
        try:
            with worker_losses_reported():
                yield from batches
        except PipelineError as err:
            kind = type(err)
            name = f"{kind.__module__}.{kind.__qualname__}: "  # the last line of a traceback
            _, is_of_worker, message = str(err.args[0]).rpartition(f"\n{name}")
            # If no reference to the loader remains, its workers exit immediately; if the garbage
            # collector has to free the loader, PyTorch waits for five seconds.
            del batches
            if not is_of_worker:  # which has the fields of its error
                raise
            raise kind(message.strip()) from err.with_traceback(None)


def _begin_worker(_: int) -> None:
    use_lines_in_worker()


def _loader(
    dataset: ClipDataset,
    batches: Callable[[], Iterator[list[ClipRequest]]],
    settings: LoaderSettings,
) -> Iterable[ClipBatch]:
    # Workers are forked from a server without threads, not from this process, whose threads may
    # hold locks that a child could never release. The server has imported what a worker needs.
    context = get_context("forkserver") if settings.workers else None
    requests = _Requests(batches)
    if context is not None:
        context.set_forkserver_preload([__name__])
        # Workers receive each segment with its request instead of a copy of all segments.
        requests = _Requests(batches, dataset.resolve)
        dataset = dataset.for_workers(settings.workers)
    loader: DataLoader[Any] = DataLoader(
        dataset,
        multiprocessing_context=context,
        batch_sampler=requests,
        num_workers=settings.workers,
        worker_init_fn=_begin_worker,
        collate_fn=collate,
        pin_memory=settings.pin_memory,
    )
    return _Batches(loader)
