"""The phases of a run (section 5), the object head alone, then the whole network."""

from dataclasses import dataclass, replace

from orn.stage2_train.clips.batches import LoaderSettings, num_training_batches
from orn.stage2_train.settings.model_config import Heads
from orn.stage2_train.settings.recipe import Recipe

_PHASE_NAMES: dict[Heads, str] = {
    "object": "object_head",
    "activity": "activity_head",
    "both": "two_heads",
}
"""Names of phases, identical to the names of scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A training phase, with its own optimizer and schedule."""

    name: str
    """Name in logs."""
    heads: Heads
    """Trained heads."""
    num_steps: int
    """Maximum number of steps."""
    batch_size: int
    """Clips per batch and process."""
    num_batches: int
    """Batches per epoch and process."""
    trains_resnet: bool = True
    """Whether conv1 to conv5 are trained."""


def steps_per_epoch(num_batches: int, accumulation: int) -> int:
    """Return the number of steps per epoch; the last step may average over fewer batches."""
    return -(-num_batches // accumulation)


def plan_phases(recipe: Recipe, *, num_segments: int, world_size: int = 1) -> tuple[Phase, ...]:
    """Return the phases with at least one step, in order.

    A network with one head has a single phase with the steps of both phases, so that all systems
    are trained for the same number of steps.

    Args:
        recipe: recipe of the run.
        num_segments: number of training segments.
        world_size: number of training processes.

    Raises:
        ConfigError: if there are too few segments for a batch in every process.
    """
    lengths, usual, heads = recipe.phases, recipe.optimizer.batch_size, recipe.model.heads
    of_both = heads == "both"
    phases = []
    for own, batch_size, num_epochs, trains_resnet in (
        (
            "object" if of_both else heads,
            lengths.object_head_batch_size or usual,
            lengths.object_head_epochs,
            lengths.object_head_trains_resnet,
        ),
        (heads, usual, lengths.epochs, True),
    ):
        loader = LoaderSettings(batch_size=batch_size, world_size=world_size)
        num_batches = num_training_batches(num_segments, loader)
        phase = Phase(
            name=_PHASE_NAMES[own],
            heads=own,
            num_steps=num_epochs * steps_per_epoch(num_batches, recipe.optimizer.accumulation),
            batch_size=batch_size,
            num_batches=num_batches,
            trains_resnet=trains_resnet,
        )
        phases.append(phase)
    if not of_both:
        first, last = phases
        phases = [replace(last, num_steps=first.num_steps + last.num_steps)]
    return tuple(phase for phase in phases if phase.num_steps)
