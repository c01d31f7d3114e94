"""Where a training stands: everything besides weights and optimiser that a resumed one needs."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from shared.errors import CheckpointError

__all__ = ["TrainingState"]


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """Mutable position of a training; plain numbers only, so that it can be saved as such."""

    phase: int = 0
    """Which phase, from 0."""
    epoch: int = 0
    """Which epoch, from 0, through all phases."""
    batch: int = 0
    """Batches of this epoch that are done."""
    step: int = 0
    """Steps that are done."""
    phase_step: int = 0
    """Steps of this phase that are done."""
    best_metric: float | None = None
    """Best validation metric of this phase."""
    best_step: int | None = None
    """When that was."""
    num_worse: int = 0
    """Validations since then."""
    phase_over: bool = False
    """Whether this phase has all its steps, or was stopped early."""
    sums: dict[str, float] = field(default_factory=dict)
    """Sums of what is logged, since the last line of the log."""
    num_summed: int = 0
    """Steps in these sums."""

    def is_finished(self, num_phases: int) -> bool:
        """Whether the last phase is over, or there is none."""
        return num_phases == 0 or (self.phase_over and self.phase >= num_phases - 1)

    def begin_phase(self, number: int) -> None:
        """Moves to the start of a phase, and of an epoch."""
        if self.batch:
            self.epoch, self.batch = self.epoch + 1, 0
        self.phase, self.phase_step, self.phase_over = number, 0, False
        self.best_metric, self.best_step, self.num_worse = None, None, 0

    def advance(self, num_taken: int, *, num_batches: int, num_phase_steps: int) -> bool:
        """Counts a step of `num_taken` batches; whether an epoch ended with it."""
        self.step += 1
        self.phase_step += 1
        self.batch += num_taken
        self.phase_over = self.phase_step >= num_phase_steps
        if self.batch < num_batches:
            return False
        self.epoch, self.batch = self.epoch + 1, 0
        return True

    def note_metric(self, metric: float, *, patience: int | None) -> bool:
        """Takes a validation metric; whether it is the best of the phase. Ends the phase after
        `patience` validations that were not."""
        if self.best_metric is None or metric > self.best_metric:
            self.best_metric, self.best_step, self.num_worse = metric, self.step, 0
            return True
        self.num_worse += 1
        if patience is not None and self.num_worse >= patience:
            self.phase_over = True
        return False

    def add(self, values: dict[str, float]) -> None:
        """Adds what a step gave to the sums."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.num_summed += 1

    def take_means(self) -> dict[str, float]:
        """Means since the last call, and starts anew."""
        means = {name: total / self.num_summed for name, total in self.sums.items()}
        self.sums, self.num_summed = {}, 0
        return means

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, source: str) -> "TrainingState":
        """The inverse of `to_dict`.

        Raises:
            CheckpointError: if the fields are not those of this version.
        """
        names = {row.name for row in fields(cls)}
        if set(values) != names:
            raise CheckpointError(
                f"{source}: wanted a training state of {sorted(names)}, found {sorted(values)}"
            )
        return cls(**values)
