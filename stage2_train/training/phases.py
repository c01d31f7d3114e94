"""The phases of a training (section 5): the object head alone, then the whole network."""

from dataclasses import dataclass

from torch import nn

from shared.errors import ConfigError
from stage2_train.model.config import Heads
from stage2_train.model.network import ObjectVideoNetwork
from stage2_train.training.recipe import Recipe

_PHASE_NAMES: dict[Heads, str] = {
    "object": "object_head",
    "activity": "activity_head",
    "both": "two_heads",
}
"""As the heads' scores are called."""

__all__ = [
    "Phase",
    "check_processes",
    "freeze_for",
    "phase_heads",
    "plan_phases",
    "steps_per_epoch",
]


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
        recipe: their lengths.
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
    phases = (
        (_phase("object", first), _phase("both", second))
        if heads == "both"
        else (_phase(heads, first + second),)
    )
    return tuple(phase for phase in phases if phase.num_steps)


def _phase(heads: Heads, num_steps: int) -> Phase:
    return Phase(name=_PHASE_NAMES[heads], heads=heads, num_steps=num_steps)


def phase_heads(recipe: Recipe, number: int) -> Heads:
    """What phase `number` trains, counted among the phases that have any steps."""
    return plan_phases(recipe, num_batches=1)[number].heads


def freeze_for(network: nn.Module, phase: Phase) -> None:
    """Leaves out of training what a phase does not use: each trained weight then has a gradient.

    While only the object head of two is trained, that is the activity head, and the trunk of a
    network whose objects have no appearance.
    """
    network.requires_grad_(True)
    if phase.heads != "object" or not isinstance(network, ObjectVideoNetwork):
        return
    if network.config.heads == "both":
        network.activity_head.requires_grad_(False)
        network.trunk.requires_grad_(network.config.object_head_sees_frames)


def check_processes(recipe: Recipe, *, num_frames: int, num_processes: int) -> None:
    """Refuses what several processes cannot train together.

    They wait for a gradient of each trained weight, and clips of one frame give most of an object
    head that relates frames none.

    Args:
        recipe: of the training.
        num_frames: T of its clips.
        num_processes: how many train together.

    Raises:
        ConfigError: if the object head would have nothing to relate.
    """
    model = recipe.model
    relates = model.heads != "activity" and model.relation_frames == "earlier"
    if num_processes > 1 and num_frames == 1 and relates:
        raise ConfigError(
            f"data.clip_frames: wanted at least 2 frames for {num_processes} processes that train "
            "an object head together, found 1, which relates no frames; train in one process, or "
            "set model.heads=activity"
        )
