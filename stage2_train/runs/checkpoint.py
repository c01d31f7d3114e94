"""Checkpoints: weights, optimiser and where a training stands, as plain tensors and numbers.

They are written whole and read without running code.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.errors import CheckpointError
from shared.jobs.atomic_file import replacing
from stage2_train.runs.run_folder import LAST_NAME

__all__ = [
    "BEST_NAME",
    "LAST_NAME",
    "Checkpoint",
    "TrainingState",
    "load_checkpoint",
    "load_weights",
    "save_checkpoint",
]

FORMAT_NAME = "orn-checkpoint"
FORMAT_VERSION = 1
BEST_NAME = "best.pt"


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A training at one moment."""

    model: Mapping[str, Tensor]
    """State dict of the network."""
    optimiser: Mapping[str, Any] | None
    """State dict of the phase's optimiser; None in the best checkpoint, which is for evaluation."""
    state: TrainingState
    """Where the training stood."""


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint; the one that was there stays until it is whole.

    Raises:
        PipelineError: if the disk refuses.
    """
    content = {
        "format": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        "model": dict(checkpoint.model),
        "optimiser": checkpoint.optimiser,
        "state": asdict(checkpoint.state),
    }
    with replacing(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint, its tensors on the CPU.

    Raises:
        CheckpointError: if there is none, it is damaged, or of another format or version.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as err:
        raise CheckpointError(f"{path}: there is no such checkpoint") from err
    except Exception as err:  # torch.load documents no types for damaged or unsafe files
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint ({type(err).__name__}: {err})"
        ) from err
    found = content.get("format") if isinstance(content, dict) else type(content).__name__
    if found != FORMAT_NAME:
        raise CheckpointError(f"{path}: wanted a checkpoint of `orn train`, found {found!r}")
    if content["format_version"] != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: wanted checkpoint version {FORMAT_VERSION}, "
            f"found {content['format_version']}; use the release that wrote it"
        )
    names, state = {row.name for row in fields(TrainingState)}, content["state"]
    if set(state) != names:
        raise CheckpointError(
            f"{path}: wanted a training state of {sorted(names)}, found {sorted(state)}"
        )
    return Checkpoint(
        model=content["model"], optimiser=content["optimiser"], state=TrainingState(**state)
    )


def load_weights(network: nn.Module, checkpoint: Checkpoint, *, path: Path) -> None:
    """Puts the weights of a checkpoint into a network.

    Raises:
        CheckpointError: if they do not fit it; `path` says in the message whose they are.
    """
    try:
        network.load_state_dict(dict(checkpoint.model))
    except RuntimeError as err:
        raise CheckpointError(f"{path}: does not fit the run's network ({err})") from err
