"""The phases of a run (section 5): the object head alone, then the whole network."""

from dataclasses import dataclass

from stage2_train.model.config import Heads
from stage2_train.recipe import Recipe

__all__ = ["Phase", "phase_heads", "plan_phases", "steps_per_epoch"]

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


def steps_per_epoch(num_batches: int, accumulation: int) -> int:
    """Steps of an epoch; the last one may average fewer batches than the others."""
    return -(-num_batches // accumulation)


def plan_phases(recipe: Recipe, *, num_batches: int) -> tuple[Phase, ...]:
    """The phases that have any steps, in order.

    A network of one head has one phase, as long as both phases of a network of two heads together,
    so that every system has the same number of steps.

    Args:
        num_batches: batches of an epoch.
    """
    per_epoch = steps_per_epoch(num_batches, recipe.optimiser.accumulation)
    lengths = recipe.phases
    first, second = (
        num_epochs * per_epoch if num_steps is None else num_steps
        for num_steps, num_epochs in (
            (lengths.object_head_steps, lengths.object_head_epochs),
            (lengths.steps, lengths.epochs),
        )
    )
    heads = recipe.model.heads
    lengths_of: dict[Heads, int] = (
        {"object": first, "both": second} if heads == "both" else {heads: first + second}
    )
    return tuple(
        Phase(name=_PHASE_NAMES[each], heads=each, num_steps=num_steps)
        for each, num_steps in lengths_of.items()
        if num_steps
    )


def phase_heads(recipe: Recipe, number: int) -> Heads:
    """What phase `number` trains, counted among the phases that have any steps."""
    return plan_phases(recipe, num_batches=1)[number].heads
