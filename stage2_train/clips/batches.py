"""Batches of clips: what is in one, in which order clips come, and the loaders that make them.

With several training processes, each takes its own share of every global batch, so that the order
depends on (seed, epoch) alone.

B clips, T frames of a clip, K object slots, S detector classes with background, A activity classes,
H W pixels, h w cells.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from orn.shared.errors import ConfigError, PipelineError, TrainingError
from orn.shared.jobs.log_lines import use_lines_in_worker
from orn.shared.short_repr import short_repr
from orn.shared.text import counted
from orn.stage2_train.clips.dataset import ClipDataset, ClipSample
from orn.stage2_train.clips.views import ClipRequest, View
from orn.stage2_train.model.inputs import NetworkInputs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipBatch:
    """B clips as tensors; slots beyond a frame's objects are zeros and invalid."""

    ids: tuple[str, ...]
    """Ids of the B segments."""
    frames_BTCHW: Tensor
    """(B, T, 3, H, W) uint8 RGB, channels last in memory."""
    masks_BTKhw: Tensor
    """(B, T, K, mask_size, mask_size) float32 coverage of the cells of the crop."""
    coverage_BTKhw: Tensor
    """(B, T, K, h, w) float32 coverage of the cells of the object head's feature map."""
    boxes_BTK4: Tensor
    """(B, T, K, 4) float32 x1 y1 x2 y2, pixels of the crop."""
    class_scores_BTKS: Tensor
    """(B, T, K, S) float32 distribution over the detector's classes and the background."""
    detector_labels_BTK: Tensor
    """(B, T, K) int64 class of the detector, S - 1 for the background object."""
    tracks_BTK: Tensor
    """(B, T, K) int64 which object of the video it is; -1 for the background object and where it is
    not known."""
    valid_BTK: Tensor
    """(B, T, K) bool, which slots hold an object."""
    labels: Tensor
    """(B,) int64 activities, or (B, A) float32 zeros and ones, and -1 for what is not known."""

    __repr__ = short_repr

    def __len__(self) -> int:
        """B."""
        return len(self.ids)

    def to(self, device: torch.device) -> "ClipBatch":
        """The batch on another device; copies from pinned memory do not wait."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "ClipBatch":
        """The batch in page-locked memory; called by torch's loader."""
        return self._mapped(lambda tensor: tensor.pin_memory())

    def inputs(self) -> NetworkInputs:
        """The fields that the network reads."""
        names = [field.name for field in dataclasses.fields(NetworkInputs)]
        return NetworkInputs(**{name: getattr(self, name) for name in names})

    def not_finite(self) -> Iterator[str]:
        """Names what has numbers that are none, such as `boxes of clip film/1`."""
        for field in dataclasses.fields(self):
            values = getattr(self, field.name)
            if isinstance(values, Tensor) and values.is_floating_point():
                bad_B = ~values.isfinite().reshape(len(self), -1).all(1)
                what = field.name.rpartition("_")[0] or field.name
                yield from (f"{what} of clip {self.ids[row]}" for row in bad_B.nonzero()[:, 0])

    def _mapped(self, function: Callable[[Tensor], Tensor]) -> "ClipBatch":
        tensors = {
            field.name: function(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if field.name != "ids"
        }
        return ClipBatch(ids=self.ids, **tensors)


def collate(samples: Sequence[ClipSample]) -> ClipBatch:
    """The batch of at least one clip, all with the same number of frames and sizes; K is what the
    fullest frame needs."""
    frames_BTHWC = torch.from_numpy(np.stack([sample.frames for sample in samples]))
    slots = [sample.slots for sample in samples]
    return ClipBatch(
        ids=tuple(sample.id for sample in samples),
        frames_BTCHW=frames_BTHWC.permute(0, 1, 4, 2, 3),
        masks_BTKhw=_padded([each.masks for each in slots]),
        coverage_BTKhw=_padded([each.coverage for each in slots]),
        boxes_BTK4=_padded([each.boxes for each in slots]),
        class_scores_BTKS=_padded([each.class_scores for each in slots]),
        detector_labels_BTK=_padded([each.labels for each in slots]),
        tracks_BTK=_padded([each.tracks for each in slots]),
        valid_BTK=_padded([each.valid for each in slots]),
        labels=torch.from_numpy(np.stack([np.asarray(sample.label) for sample in samples])),
    )


def _padded(arrays: Sequence[np.ndarray]) -> Tensor:
    """(B, T, K, ...) from arrays (T, k, ...), K the largest k, zeros behind."""
    num_slots = max(array.shape[1] for array in arrays)
    num_frames, _, *rest = arrays[0].shape
    padded = np.zeros((len(arrays), num_frames, num_slots, *rest), arrays[0].dtype)
    for clip, array in enumerate(arrays):
        padded[clip, :, : array.shape[1]] = array
    return torch.from_numpy(padded)


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


def num_training_batches(num_segments: int, settings: LoaderSettings) -> int:
    """Batches of an epoch of each process: whole ones, or a short one where there is no whole one.

    Raises:
        ConfigError: if there are too few segments for every process to have a batch.
    """
    global_batch = settings.batch_size * settings.world_size
    if num_segments < global_batch and settings.world_size > 1:
        raise ConfigError(
            f"training: wanted at least {counted(global_batch, 'segment')} for "
            f"{counted(settings.world_size, 'process', 'processes')} of batch size "
            f"{settings.batch_size}, found {num_segments}"
        )
    return max(num_segments // global_batch, 1)


def training_loader(
    dataset: ClipDataset, settings: LoaderSettings, *, epochs: range, first_batch: int = 0
) -> Iterable[ClipBatch]:
    """Batches of all `epochs`, one after another, each a new order of the segments.

    An epoch has `num_training_batches`; the segments left over are other ones each time. To resume,
    `first_batch` leaves so many batches of the first epoch out.
    """

    def batches() -> Iterator[list[ClipRequest]]:
        size, stride = settings.batch_size, settings.batch_size * settings.world_size
        for epoch in epochs:
            generator = np.random.default_rng((dataset.settings.seed, epoch))
            order = generator.permutation(len(dataset)).tolist()
            skipped = first_batch if epoch == epochs.start else 0
            for batch in range(skipped, num_training_batches(len(dataset), settings)):
                start = batch * stride + settings.rank * size
                yield [ClipRequest(each, epoch=epoch) for each in order[start : start + size]]

    return _loader(dataset, batches, settings)


def evaluation_loader(
    dataset: ClipDataset, settings: LoaderSettings, *, views: Sequence[View] = (View(),)
) -> Iterable[ClipBatch]:
    """The clips of `evaluation_requests`."""
    return _loader(
        dataset, lambda: evaluation_requests(len(dataset), settings, views=views), settings
    )


def evaluation_requests(
    num_segments: int, settings: LoaderSettings, *, views: Sequence[View]
) -> Iterator[list[ClipRequest]]:
    """Batches of one view of some segments each, in order; process r of n takes segments r, r + n,
    ... Other views of the same segments follow at once, in the same worker, which has their frames
    and objects at hand."""
    own = range(settings.rank, num_segments, settings.world_size)
    size = settings.batch_size
    groups = [own[start : start + size] for start in range(0, len(own), size)]
    together = max(settings.workers, 1)  # torch hands batches to workers in turn
    for first in range(0, len(groups), together):
        for view in views:
            for group in groups[first : first + together]:
                yield [ClipRequest(each, view=view) for each in group]


class _BatchSampler(Sampler[list[ClipRequest]]):
    """Batches of requests, made while they are asked for."""

    def __init__(self, batches: Callable[[], Iterator[list[ClipRequest]]]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[list[ClipRequest]]:
        return self._batches()


_BEFORE_ARRIVAL = "before its batches had arrived"
_LOST_PIN_THREAD = "Pin memory thread exited unexpectedly"
"""What torch says where the thread that fetches tensors for a GPU has met a broken connection."""


@contextmanager
def lost_workers_told() -> Iterator[None]:
    """Says that a worker process ended; torch may notice it anywhere in the training process.

    Raises:
        TrainingError: then.
    """
    try:
        yield
    except RuntimeError as err:
        if str(err) == _LOST_PIN_THREAD:
            raise _lost_worker(_BEFORE_ARRIVAL) from err
        if not str(err).startswith("DataLoader worker (pid"):
            raise
        why = str(err).removeprefix("DataLoader worker ").splitlines()[0].strip()
        raise _lost_worker(why) from err


def _lost_worker(why: str) -> TrainingError:
    return TrainingError(
        f"a process that made batches ended {why}; most often the machine was out of memory, or a "
        "file that it read was cut short: give fewer --workers; the same command goes on"
    )


@dataclass(frozen=True, slots=True)
class _Batches:
    """The batches of a loader; what ends a worker is told as it was, without its traceback."""

    loader: DataLoader[ClipBatch]

    def __iter__(self) -> Iterator[ClipBatch]:
        return self._told(iter(self.loader))  # the workers start here, not with the first batch

    def _told(self, batches: Iterator[ClipBatch]) -> Iterator[ClipBatch]:
        try:
            with lost_workers_told(), self._lost_tensors_told():
                yield from batches
        except PipelineError as err:
            kind = type(err)
            name = f"{kind.__module__}.{kind.__qualname__}: "  # the last line of a traceback
            said = str(err.args[0]).rpartition(f"\n{name}")[2].strip()
            # So that nothing holds the workers, which end then; where the garbage collector has to
            # find them, torch waits for five seconds.
            del batches
            raise kind(said) from err.with_traceback(None)

    @contextmanager
    def _lost_tensors_told(self) -> Iterator[None]:
        """Says that a worker process ended before its tensors were fetched from it, which torch
        tells as a connection that broke."""
        try:
            yield
        except (ConnectionError, EOFError) as err:
            if self.loader.num_workers == 0 or str(err).startswith("Caught "):  # its own, told here
                raise
            raise _lost_worker(_BEFORE_ARRIVAL) from err


def _told(
    dataset: ClipDataset, batches: Callable[[], Iterator[list[ClipRequest]]]
) -> Callable[[], Iterator[list[ClipRequest]]]:
    return lambda: ([dataset.told(request) for request in batch] for batch in batches())


def _begin_worker(_: int) -> None:
    use_lines_in_worker()


def _loader(
    dataset: ClipDataset,
    batches: Callable[[], Iterator[list[ClipRequest]]],
    settings: LoaderSettings,
) -> Iterable[ClipBatch]:
    # Not forked from this process, whose threads may hold locks that nobody would let go of in a
    # child; the server has none, and has imported what a worker needs.
    context = get_context("forkserver") if settings.workers else None
    requests = batches
    if context is not None:
        context.set_forkserver_preload([__name__])
        # Workers get with each request what it is about, not a list of everything at their start.
        requests, dataset = _told(dataset, batches), dataset.for_workers(settings.workers)
    loader: DataLoader[Any] = DataLoader(
        dataset,
        multiprocessing_context=context,
        batch_sampler=_BatchSampler(requests),
        num_workers=settings.workers,
        worker_init_fn=_begin_worker,
        collate_fn=collate,
        pin_memory=settings.pin_memory,
    )
    return _Batches(loader)
