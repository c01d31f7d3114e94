"""The phases of a run (section 5), the object head alone, then the whole network; and how far a
training has come in them."""

from dataclasses import dataclass, field, replace

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


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """Mutable training progress, stored as plain numbers for serialization."""

    phase: int = 0
    """Index of the phase."""
    epoch: int = 0
    """Index of the epoch, counted over all phases."""
    batch: int = 0
    """Number of completed batches in this epoch."""
    step: int = 0
    """Number of completed steps."""
    phase_step: int = 0
    """Number of completed steps in this phase."""
    best_metric: float | None = None
    """Best validation metric in this phase."""
    best_step: int | None = None
    """Step of the best validation."""
    num_without_improvement: int = 0
    """Number of validations since the best one, for early stopping."""
    phase_over: bool = False
    """Whether this phase has completed all steps or was stopped early."""
    sums: dict[str, float] = field(default_factory=dict)
    """Sums of metrics since the last logged line."""
    num_summed: int = 0
    """Number of steps in these sums."""

    def is_finished(self, num_phases: int) -> bool:
        """Return whether the last phase is over, or there are no phases."""
        return num_phases == 0 or (self.phase_over and self.phase >= num_phases - 1)

    def begin_phase(self, number: int) -> None:
        """Start a phase with a new epoch."""
        if self.batch:
            self.epoch, self.batch = self.epoch + 1, 0
        self.phase, self.phase_step, self.phase_over = number, 0, False
        self.best_metric, self.best_step, self.num_without_improvement = None, None, 0

    def advance(self, num_done: int, *, num_batches: int, num_phase_steps: int) -> bool:
        """Record a step of `num_done` batches; return whether it ends the epoch."""
        self.step += 1
        self.phase_step += 1
        self.batch += num_done
        self.phase_over = self.phase_step >= num_phase_steps
        if self.batch < num_batches:
            return False
        self.epoch, self.batch = self.epoch + 1, 0
        return True

    def record_metric(self, metric: float, *, patience: int | None) -> bool:
        """Record a validation metric; return whether it is the best in the phase. After `patience`
        validations without improvement, the phase is over."""
        if self.best_metric is None or metric > self.best_metric:
            self.best_metric, self.best_step = metric, self.step
            self.num_without_improvement = 0
            return True
        self.num_without_improvement += 1
        if patience is not None and self.num_without_improvement >= patience:
            self.phase_over = True
        return False

    def add(self, values: dict[str, float]) -> None:
        """Add the metrics of a step to the sums."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.num_summed += 1

    def pop_means(self) -> dict[str, float]:
        """Return the means since the last call, and reset the sums."""
        means = {name: total / self.num_summed for name, total in self.sums.items()}
        self.sums, self.num_summed = {}, 0
        return means
