"""The phases of a run (section 5): the object head alone, then the whole network."""

from dataclasses import dataclass, replace

from orn.stage2_train.clips.batches import LoaderSettings, num_training_batches
from orn.stage2_train.model.config import Heads
from orn.stage2_train.recipe import Recipe

_PHASE_NAMES: dict[Heads, str] = {
    "object": "object_head",
    "activity": "activity_head",
    "both": "two_heads",
}
"""As the heads' scores are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of training with one optimiser and one schedule."""

    name: str
    """For logs."""
    heads: Heads
    """What is trained."""
    num_steps: int
    """How long, at most."""
    batch_size: int
    """Clips of a batch of one process."""
    num_batches: int
    """Batches of an epoch of each process."""
    trains_resnet: bool = True
    """Whether the weights of conv1 to conv5 move."""


def steps_per_epoch(num_batches: int, accumulation: int) -> int:
    """Steps of an epoch; the last one may average fewer batches than the others."""
    return -(-num_batches // accumulation)


def plan_phases(recipe: Recipe, *, num_segments: int, world_size: int = 1) -> tuple[Phase, ...]:
    """The phases that have any steps, in order.

    A network of one head has one phase, as long as both phases of a network of two heads together,
    so that every system has the same number of steps.

    Args:
        recipe: how it is trained.
        num_segments: segments to train on.
        world_size: training processes.

    Raises:
        ConfigError: if there are too few segments for every process to have a batch.
    """
    lengths, usual, heads = recipe.phases, recipe.optimiser.batch_size, recipe.model.heads
    of_both = heads == "both"
    phases = []
    for own, batch_size, num_steps, num_epochs, trains_resnet in (
        (
            "object" if of_both else heads,
            lengths.object_head_batch_size or usual,
            lengths.object_head_steps,
            lengths.object_head_epochs,
            lengths.object_head_trains_resnet,
        ),
        (heads, usual, lengths.steps, lengths.epochs, True),
    ):
        loader = LoaderSettings(batch_size=batch_size, world_size=world_size)
        num_batches = num_training_batches(num_segments, loader)
        if num_steps is None:
            num_steps = num_epochs * steps_per_epoch(num_batches, recipe.optimiser.accumulation)
        phase = Phase(
            name=_PHASE_NAMES[own],
            heads=own,
            num_steps=num_steps,
            batch_size=batch_size,
            num_batches=num_batches,
            trains_resnet=trains_resnet,
        )
        phases.append(phase)
    if not of_both:
        first, last = phases
        phases = [replace(last, num_steps=first.num_steps + last.num_steps)]
    return tuple(phase for phase in phases if phase.num_steps)
