"""The order of clips, and that it depends on neither workers nor processes nor resuming."""

from copy import copy
from dataclasses import fields, replace

import pytest
import torch

from orn.shared.errors import (
    ClipStoreError,
    ConfigError,
    JoinError,
    PipelineError,
    ShardFormatError,
    VideoDecodeError,
)
from orn.stage2_train.clips.batches import (
    LoaderSettings,
    num_training_batches,
    training_loader,
)
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.object_slots import SlotSettings
from orn.stage2_train.model.inputs import ClipBatch
from tests.stage2_train.clips import conftest

SETTINGS = replace(
    conftest.SETTINGS,
    data=replace(conftest.SETTINGS.data, clip_frames=2),
    slots=SlotSettings(max_objects=2, background=True, mask_size=4, feature_cells=(2, 3)),
    flipped_A=(1, 0),
)
THREE = LoaderSettings(batch_size=3)


@pytest.fixture
def dataset(make_dataset) -> ClipDataset:
    """Clips of twelve segments."""
    return make_dataset(SETTINGS)


def ids_of(batches) -> list[tuple[str, ...]]:
    """Ids of each batch."""
    return [batch.ids for batch in batches]


def equal(one: ClipBatch, other: ClipBatch) -> bool:
    """Whether two batches are the same."""
    names = [field.name for field in fields(ClipBatch) if field.name not in ("ids", "crop")]
    values = [(getattr(one, name), getattr(other, name)) for name in names]
    return one.ids == other.ids and all(
        theirs is None if ours is None else torch.equal(ours, theirs) for ours, theirs in values
    )


def test_every_epoch_has_every_segment_in_a_new_order_in_whole_batches(dataset) -> None:
    batches = ids_of(training_loader(dataset, THREE, epochs=range(2)))
    assert [len(ids) for ids in batches] == [3] * 8
    first, second = ([name for ids in half for name in ids] for half in (batches[:4], batches[4:]))
    names = [row.id for row in dataset.segments]
    assert sorted(first) == sorted(second) == sorted(names)
    assert names != first != second
    for size, lengths in ((5, [5, 5]), (50, [12])):
        settings = LoaderSettings(batch_size=size)
        batches = ids_of(training_loader(dataset, settings, epochs=range(1)))
        assert [len(ids) for ids in batches] == lengths
        assert num_training_batches(12, settings) == len(lengths)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("rank", [0, 1])
def test_resuming_in_the_middle_of_an_epoch_of_several_processes(dataset, workers, rank) -> None:
    settings = LoaderSettings(batch_size=2, rank=rank, world_size=2)
    whole = list(training_loader(dataset, settings, epochs=range(5, 7)))
    helped = replace(settings, workers=workers)
    rest = list(training_loader(dataset, helped, epochs=range(5, 7), first_batch=1))
    assert len(whole) == len(rest) + 1 == 6
    assert all(equal(one, other) for one, other in zip(whole[1:], rest, strict=True))


def test_processes_share_a_global_batch(dataset) -> None:
    whole = ids_of(training_loader(dataset, LoaderSettings(batch_size=4), epochs=range(1)))
    of_each = [LoaderSettings(batch_size=2, rank=rank, world_size=2) for rank in range(2)]
    parts = [ids_of(training_loader(dataset, process, epochs=range(1))) for process in of_each]
    assert [one + other for one, other in zip(*parts, strict=True)] == whole
    with pytest.raises(ConfigError, match="32 segments for 2 processes"):
        num_training_batches(31, LoaderSettings(batch_size=16, world_size=2))


class _Failing(ClipDataset):
    """A data set that raises an error with fields for every batch."""

    error: PipelineError

    def __getitems__(self, requests):
        raise self.error


ERRORS = [
    PipelineError("no room", where="clips/a.h5", remedy="remove it"),
    JoinError(where="video 'a'", expected="a frame at 1.00 s", got="none", remedy="detect again"),
    ShardFormatError("array 'rle': chunk 0 is damaged", where="shard-000000.zarr.zip"),
    VideoDecodeError(where="a.mp4", expected="frame 7"),
    ClipStoreError("line one\nline two", where="b.h5"),
]


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_keep_their_fields_with_and_without_workers(dataset, workers) -> None:
    failing = copy(dataset)
    failing.__class__ = _Failing
    for error in ERRORS:
        failing.error = error
        settings = LoaderSettings(batch_size=3, workers=workers)
        with pytest.raises(type(error)) as raised:
            list(training_loader(failing, settings, epochs=range(1)))
        assert str(raised.value) == str(error)
