"""How far a training has come: phase, epoch, step, and the best weights so far."""

from dataclasses import dataclass, field


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
