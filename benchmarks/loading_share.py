"""Which share of a training's wall time goes into waiting for batches."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.loader_inputs import LoaderInputs
from stage2_train.clips.batch import ClipBatch
from stage2_train.clips.dataset import ClipDataset, ClipSettings
from stage2_train.clips.loader import LoaderSettings, training_loader
from stage2_train.clips.slots import SlotSettings
from stage2_train.devices import build_accelerator
from stage2_train.model.build import build_network
from stage2_train.training.recipe import Recipe
from stage2_train.training.step import build_optimiser, training_step

__all__ = ["LoadingShare", "loading_share", "recipe_dataset"]

_NO_CACHE = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadingShare:
    """Waiting and computing, in a training of some steps."""

    step_seconds: float
    """Wall time of a step without waiting."""
    waiting_seconds: float
    """Wall time of a step in which it waited for its batch."""

    @property
    def share(self) -> float:
        """Waiting over all."""
        return self.waiting_seconds / (self.waiting_seconds + self.step_seconds)


def recipe_dataset(inputs: LoaderInputs, recipe: Recipe, *, num_segments: int) -> ClipDataset:
    """The clips as a recipe wants them, none of whose objects is kept in memory."""
    settings = ClipSettings(
        num_frames=recipe.data.clip_frames or 4,
        crop=recipe.data.crop,
        slots=SlotSettings(
            max_objects=recipe.data.max_objects,
            background=recipe.model.background_object,
            mask_size=recipe.model.mask_size,
            feature_cells=recipe.feature_cells,
        ),
        score_threshold=recipe.data.score_threshold,
        num_activities=recipe.model.num_activities,
        multi_label=False,
    )
    copies = -(-num_segments // len(inputs.videos))
    segments = inputs.segments(copies)[:num_segments]
    return ClipDataset(
        segments, inputs.clips(), inputs.detections(), settings, cache_bytes=_NO_CACHE
    )


def loading_share(
    inputs: LoaderInputs, recipe: Recipe, *, batch_size: int, steps: int, workers: int
) -> LoadingShare:
    """Trains for some steps, after one that does not count.

    Args:
        inputs: the clips.
        recipe: network, crop, optimiser; computed in fp32.
        batch_size: B.
        steps: steps that count.
        workers: processes that make batches; 0 makes them between the steps.
    """
    torch.manual_seed(0)
    clips = recipe_dataset(inputs, recipe, num_segments=batch_size * (steps + 1))
    network = build_network(recipe.model).train()
    optimiser = build_optimiser(network.parameters(), recipe.optimiser)
    accelerator = build_accelerator("fp32", "cpu")
    loader = training_loader(
        clips, LoaderSettings(batch_size=batch_size, workers=workers), epochs=range(1)
    )
    batches: Iterator[ClipBatch] = iter(loader)
    waiting = computing = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for step in range(steps + 1):
            began = time.perf_counter()
            batch = next(batches)
            loaded = time.perf_counter()
            training_step(
                accelerator,
                network,
                optimiser,
                [batch],
                recipe=recipe,
                heads="both",
                step=step,
                run=Path(folder),
            )
            if step > 0:
                waiting += loaded - began
                computing += time.perf_counter() - loaded
    return LoadingShare(step_seconds=computing / steps, waiting_seconds=waiting / steps)
