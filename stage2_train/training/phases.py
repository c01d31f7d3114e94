"""The two phases of a training (section 5): the object head alone, then the whole network."""

from dataclasses import dataclass

from stage2_train.model.network import Heads, ObjectVideoNetwork
from stage2_train.training.recipe import Recipe

__all__ = ["Phase", "freeze_for", "phase_heads", "plan_phases", "steps_per_epoch"]


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

    Args:
        recipe: their lengths.
        num_batches: batches of an epoch.
    """
    per_epoch = steps_per_epoch(num_batches, recipe.optimiser.accumulation)
    lengths = recipe.phases
    rows: tuple[tuple[str, Heads, int | None, int], ...] = (
        ("object_head", "object", lengths.object_head_steps, lengths.object_head_epochs),
        ("two_heads", "both", lengths.steps, lengths.epochs),
    )
    phases = []
    for name, heads, num_steps, num_epochs in rows:
        length = num_epochs * per_epoch if num_steps is None else num_steps
        if length:
            phases.append(Phase(name=name, heads=heads, num_steps=length))
    return tuple(phases)


def phase_heads(recipe: Recipe, number: int) -> Heads:
    """What phase `number` trains, counted among the phases that have any steps."""
    return plan_phases(recipe, num_batches=1)[number].heads


def freeze_for(network: ObjectVideoNetwork, heads: Heads) -> None:
    """Leaves the parameters of the activity head out of training while only objects are trained."""
    for module in (network.activity_conv5, network.activity_head):
        module.requires_grad_(heads == "both")
