"""The phases of a run (section 5): the object head alone, then the whole network."""

from dataclasses import dataclass

from stage2_train.clips.batches import LoaderSettings, num_training_batches
from stage2_train.model.config import Heads
from stage2_train.recipe import Recipe

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
    lengths = recipe.phases
    sizes = (
        lengths.object_head_batch_size or recipe.optimiser.batch_size,
        recipe.optimiser.batch_size,
    )
    batches = [
        num_training_batches(num_segments, LoaderSettings(batch_size=size, world_size=world_size))
        for size in sizes
    ]
    first, second = (
        num_epochs * steps_per_epoch(num_batches, recipe.optimiser.accumulation)
        if num_steps is None
        else num_steps
        for num_steps, num_epochs, num_batches in (
            (lengths.object_head_steps, lengths.object_head_epochs, batches[0]),
            (lengths.steps, lengths.epochs, batches[1]),
        )
    )
    heads = recipe.model.heads
    lengths_of: dict[Heads, int] = (
        {"object": first, "both": second} if heads == "both" else {heads: first + second}
    )
    phases = []
    for each, num_steps in lengths_of.items():
        is_first = each == "object" and heads == "both"
        phase = Phase(
            name=_PHASE_NAMES[each],
            heads=each,
            num_steps=num_steps,
            batch_size=sizes[0 if is_first else 1],
            num_batches=batches[0 if is_first else 1],
            trains_resnet=lengths.object_head_trains_resnet or not is_first,
        )
        phases += [phase] if num_steps else []
    return tuple(phases)
