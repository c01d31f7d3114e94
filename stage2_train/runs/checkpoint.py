"""Checkpoints: weights, optimiser and where a training stands, as plain tensors and numbers.

They are written whole and read without running code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor, nn

from orn.shared.config.fields import explain
from orn.shared.errors import CheckpointError
from orn.shared.tensor_file import read_tensors, save_tensors, tensors_in
from orn.shared.tensors import misfit
from orn.stage2_train.runs.phases import Phase

FORMAT_NAME = "orn-checkpoint"
FORMAT_VERSION = 1
BEST_NAME = "best.pt"

_WHAT = "a checkpoint of `orn train`"
_Count = Annotated[int, Field(ge=0, lt=2**53, strict=True)]
_Number = Annotated[float, Field(strict=True)]


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """Mutable position of a training; plain numbers only, so that it can be saved as such."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    phase: _Count = 0
    """Which phase, from 0."""
    epoch: _Count = 0
    """Which epoch, from 0, through all phases."""
    batch: _Count = 0
    """Batches of this epoch that are done."""
    step: _Count = 0
    """Steps that are done."""
    phase_step: _Count = 0
    """Steps of this phase that are done."""
    best_metric: _Number | None = None
    """Best validation metric of this phase."""
    best_step: _Count | None = None
    """When that was."""
    num_worse: _Count = 0
    """Validations since then."""
    phase_over: Annotated[bool, Field(strict=True)] = False
    """Whether this phase has all its steps, or was stopped early."""
    sums: dict[str, _Number] = field(default_factory=dict)
    """Sums of what is logged, since the last line of the log."""
    num_summed: _Count = 0
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


_STATE = TypeAdapter(TrainingState)


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
    save_tensors(path, content)


def load_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint, its tensors on the CPU, mapped from the file.

    Raises:
        CheckpointError: if there is none, it is damaged, or of another format or version.
    """
    content = read_tensors(path, what=_WHAT)
    found = content.get("format") if type(content) is dict else None
    if found != FORMAT_NAME:
        raise CheckpointError(f"{path}: wanted {_WHAT}, found a file of another format")
    if content.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: wanted checkpoint version {FORMAT_VERSION}, found another; use the release "
            "that wrote it"
        )
    model, optimiser = tensors_in(content.get("model")), content.get("optimiser")
    if model is None or not (optimiser is None or type(optimiser) is dict):
        part = "model" if model is None else "optimiser"
        raise CheckpointError(f"{path}: wanted {_WHAT}, found no tensors by name in its {part!r}")
    position = content.get("state")
    names = [each.name for each in fields(TrainingState)]
    absent = [name for name in names if type(position) is dict and name not in position]
    if absent:
        raise CheckpointError(f"{path}: holds no state of a training (missing {', '.join(absent)})")
    try:
        state = _STATE.validate_python(position)
    except ValidationError as err:
        reason = explain(err, TrainingState)
        raise CheckpointError(f"{path}: holds no state of a training ({reason})") from err
    return Checkpoint(model=model, optimiser=optimiser, state=state)


def check_phase(
    state: TrainingState, phases: Sequence[Phase], *, path: Path, lengths_known: bool = True
) -> None:
    """Checks that a training can stand there.

    Args:
        state: of the checkpoint in the file `path`.
        phases: of the run.
        lengths_known: whether the phases are as long as those of the training.

    Raises:
        CheckpointError: if the run has no such phase, step or batch.
    """
    if state.phase >= len(phases):
        raise CheckpointError(
            f"{path}: wanted a state in one of the run's {len(phases)} phases, numbered from 0, "
            f"found phase {state.phase}"
        )
    if not lengths_known:
        return
    phase = phases[state.phase]
    for what, found, most in (
        ("batch", state.batch, phase.num_batches - 1),
        (f"step of phase {phase.name}", state.phase_step, phase.num_steps),
    ):
        if found > most:
            raise CheckpointError(
                f"{path}: wanted a {what} of at most {most}, found {found}; go on with as many "
                "processes as before, or start another run"
            )


def load_weights(network: nn.Module, checkpoint: Checkpoint, *, path: Path) -> None:
    """Puts the weights of a checkpoint into a network.

    Raises:
        CheckpointError: if they do not fit it; `path` says in the message whose they are.
    """
    if problem := misfit(checkpoint.model, network.state_dict()):
        raise CheckpointError(f"{path}: does not fit the run's network: {problem}")
    network.load_state_dict(dict(checkpoint.model))


def load_optimiser(optimiser: torch.optim.Optimizer, checkpoint: Checkpoint, *, path: Path) -> None:
    """Puts what the optimiser of a checkpoint remembers of each weight into one that is as it was
    made; its settings are those of the recipe. A checkpoint without an optimiser changes nothing.

    Raises:
        CheckpointError: if it is not of the same weights.
    """
    if checkpoint.optimiser is None:
        return
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    remembered = checkpoint.optimiser.get("state")
    wrong = CheckpointError(f"{path}: does not fit the run's optimiser: its state is of others")
    if type(remembered) is not dict:
        raise wrong
    state = {}
    for number, values in dict.items(remembered):
        found = tensors_in(values)
        if type(number) is not int or not 0 <= number < len(weights) or found is None:
            raise wrong
        like = weights[number].detach()
        wanted = {"step": torch.zeros(()), "exp_avg": like, "exp_avg_sq": like}
        if problem := misfit(found, wanted):
            raise CheckpointError(
                f"{path}: does not fit the run's optimiser: weight {number}, {problem}"
            )
        state[number] = {name: tensor.clone() for name, tensor in found.items()}
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
