"""Checkpoints of a run: where its training stands, the position before that, and its best weights.

RUN/last.safetensors       weights, optimiser and position, from which a training goes on
    previous.safetensors   the one before, which is taken where the last is damaged
    model.safetensors      the best weights of a phase

Each is whole. While the next `last.safetensors` is written, the present one has both names, so that
the two never take more room than replacing a single file does.
"""

import json
import logging
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor, nn

from orn.shared.config.bounded import parse_json
from orn.shared.config.fields import explain
from orn.shared.errors import CheckpointError, PipelineError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.tensors import mismatch, read_tensors, write_tensors
from orn.stage2_train.runs.phases import Phase
from orn.stage2_train.runs.run_folder import BEST_NAME, LAST_NAME

logger = logging.getLogger(__name__)

PREVIOUS_NAME = "previous.safetensors"
DAMAGED_NAME = "damaged.safetensors"

_WHAT = "a checkpoint of `orn train`"
_REMEDY = "train anew in another --run"
_REMEMBERED = re.compile(r"optimiser\.([0-9]{1,9})\.(\w+)")
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

    def record_metric(self, metric: float, *, patience: int | None) -> bool:
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

    def pop_means(self) -> dict[str, float]:
        """Means since the last call, and starts anew."""
        means = {name: total / self.num_summed for name, total in self.sums.items()}
        self.sums, self.num_summed = {}, 0
        return means


_STATE = TypeAdapter(TrainingState)

OptimiserState = Mapping[int, Mapping[str, Tensor]]
"""What an optimiser remembers of each weight, by its number."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A training at one moment."""

    model: Mapping[str, Tensor]
    """State dict of the network."""
    optimiser: OptimiserState
    """Of the phase's optimiser; empty where a phase begins, and where the last is over."""
    state: TrainingState
    """Where the training stood."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BestWeights:
    """The weights of the best validation of a phase."""

    model: Mapping[str, Tensor]
    """State dict of the network."""
    phase: int
    """Which phase, from 0."""
    step: int
    """After how many steps of the training."""


def save_last(run: Path, checkpoint: Checkpoint) -> None:
    """Write the last checkpoint of a run; the one that was there becomes the one before.

    Raises:
        PipelineError: if the disk refuses; what was there stays.
    """
    last, previous = run / LAST_NAME, run / PREVIOUS_NAME
    try:
        if last.is_file():
            _give_name(last, previous)
        else:
            previous.unlink(missing_ok=True)  # of another training
    except PipelineError as err:  # on a disk without hard links
        logger.warning("%s; the checkpoint before the last is not kept", err)
    tensors = checkpoint_tensors(checkpoint.model, checkpoint.optimiser)
    write_tensors(last, tensors, {"state": json.dumps(asdict(checkpoint.state))})


def load_last(run: Path, *, mend: bool) -> Checkpoint | None:
    """Return the last checkpoint of a run, or the one before if that is damaged; None without any.

    Args:
        run: the folder.
        mend: whether the one before takes the place of the damaged one, which is kept beside it;
            in one of several processes.

    Raises:
        CheckpointError: if both are damaged, or the only one, or the last is no checkpoint from
            which a training can go on.
    """
    last, previous = run / LAST_NAME, run / PREVIOUS_NAME
    if not last.is_file():
        return None
    path, damage = last, None
    try:
        content = read_tensors(last, what=_WHAT, remedy=_REMEDY)
    except CheckpointError as err:
        path, damage = previous, err
        try:
            content = read_tensors(previous, what=_WHAT, remedy=_REMEDY)
        except CheckpointError:
            raise err from None
    checkpoint = _checkpoint(path, *content)
    if damage is not None and mend:
        logger.warning(
            "%s; going on from %s, step %d; the damaged file is now %s",
            damage, PREVIOUS_NAME, checkpoint.state.step, DAMAGED_NAME,
        )  # fmt: skip
        _give_name(last, run / DAMAGED_NAME)
        _give_name(previous, last)  # there is a last checkpoint at every moment
    return checkpoint


def load_checkpoint(path: Path) -> Checkpoint:
    """Return a checkpoint of a training, its tensors mapped from the file.

    Raises:
        CheckpointError: if it is absent or damaged, or no training can go on from it.
    """
    return _checkpoint(path, *read_tensors(path, what=_WHAT, remedy=_REMEDY))


def save_best(run: Path, model: Mapping[str, Tensor], *, phase: int, step: int) -> None:
    """Write the weights of the best validation so far of a phase.

    Raises:
        PipelineError: if the disk refuses; what was there stays.
    """
    write_tensors(run / BEST_NAME, model, {"phase": str(phase), "step": str(step)})


def load_best(run: Path, *, phase: int | None = None) -> BestWeights | None:
    """Return the best weights of a run, mapped from their file; None without any.

    Args:
        run: the folder.
        phase: of which phase, which has just ended; None for the last one that has any.

    Raises:
        CheckpointError: if the file is damaged, or a later phase has written its weights to it, as
            may be where the checkpoint before the last was taken.
    """
    path = run / BEST_NAME
    if not path.is_file():
        return None
    model, metadata = read_tensors(path, what="the best weights of a run", remedy=_REMEDY)
    try:
        best = BestWeights(model=model, phase=int(metadata["phase"]), step=int(metadata["step"]))
    except (KeyError, ValueError) as err:
        raise CheckpointError(
            f"{path}: expected weights with their phase and step, got others; {_REMEDY}"
        ) from err
    if phase is None or best.phase == phase:
        return best
    if best.phase < phase:
        return None
    raise CheckpointError(
        f"{path}: expected the best weights of phase {phase}, got those of phase {best.phase}, "
        f"which took their place; {_REMEDY}"
    )


def checkpoint_tensors(model: Mapping[str, Tensor], optimiser: OptimiserState) -> dict[str, Tensor]:
    """Return the tensors of a network and its optimiser by the names that a file has for them."""
    return {f"model.{name}": tensor for name, tensor in model.items()} | {
        f"optimiser.{number}.{name}": tensor
        for number, values in optimiser.items()
        for name, tensor in values.items()
    }


def split_tensors(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], OptimiserState]:
    """Return what was given to `checkpoint_tensors`; other names count as weights."""
    model: dict[str, Tensor] = {}
    optimiser: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        if match := _REMEMBERED.fullmatch(name):
            optimiser[int(match[1])][match[2]] = tensor
        else:
            model[name.removeprefix("model.")] = tensor
    return model, optimiser


def check_phase(number: int, phases: Sequence[Phase], *, path: Path) -> None:
    """Raise CheckpointError if a run has no phase of this number, which `path` names."""
    if number >= len(phases):
        raise CheckpointError(
            f"{path}: expected one of the run's {len(phases)} phases, numbered from 0, got phase "
            f"{number}; {_REMEDY}"
        )


def check_position(state: TrainingState, phases: Sequence[Phase], *, path: Path) -> None:
    """Raise CheckpointError if a training of these phases cannot stand where `path` says."""
    check_phase(state.phase, phases, path=path)
    phase = phases[state.phase]
    for what, found, most in (
        ("batch", state.batch, phase.num_batches - 1),
        (f"step of phase {phase.name}", state.phase_step, phase.num_steps),
    ):
        if found > most:
            raise CheckpointError(
                f"{path}: expected a {what} of at most {most}, got {found}; go on with as many "
                "processes as before, or start another run"
            )


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], *, path: Path) -> None:
    """Put weights into a network.

    Raises:
        CheckpointError: if they do not fit it; `path` says in the message whose they are.
    """
    if problem := mismatch(weights, network.state_dict()):
        raise CheckpointError(f"{path}: does not fit the run's network: {problem}")
    network.load_state_dict(dict(weights))


def load_optimiser(
    optimiser: torch.optim.Optimizer, remembered: OptimiserState, *, path: Path
) -> None:
    """Put what an optimiser remembers of each weight into one that is as it was made.

    Its settings are those of the recipe. Numbers get the strides of their weight, with which fused
    optimisers go through both.

    Raises:
        CheckpointError: if it is not of the same weights.
    """
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    state = {}
    for number, found in remembered.items():
        if number >= len(weights):
            raise CheckpointError(
                f"{path}: does not fit the run's optimiser: expected {len(weights)} weights, got "
                f"a state of weight {number}"
            )
        like = weights[number].detach()
        wanted = {"step": torch.zeros(()), "exp_avg": like, "exp_avg_sq": like}
        if problem := mismatch(found, wanted):
            raise CheckpointError(
                f"{path}: does not fit the run's optimiser: weight {number}, {problem}"
            )
        state[number] = {
            name: torch.empty_like(each).copy_(found[name]) for name, each in wanted.items()
        }
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _checkpoint(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Checkpoint:
    """What the file at `path` holds, if a training can go on with it."""
    model, optimiser = split_tensors(tensors)
    if "state" not in metadata:
        raise CheckpointError(
            f"{path}: expected {_WHAT}, got weights without an optimiser's state, from which no "
            f"training can go on; bring the run's own file back, or {_REMEDY}"
        )
    position = parse_json(metadata["state"], source=str(path), error=CheckpointError)
    try:
        state = _STATE.validate_python(position)
    except ValidationError as err:
        reason = explain(err, TrainingState)
        raise CheckpointError(
            f"{path}: expected the position of a training, got another ({reason}); {_REMEDY}"
        ) from err
    if state.phase_step and not (state.phase_over or optimiser):
        raise CheckpointError(
            f"{path}: expected an optimiser's state after {state.phase_step} steps of phase "
            f"{state.phase}, got none; {_REMEDY}"
        )
    return Checkpoint(model=model, optimiser=optimiser, state=state)


def _give_name(path: Path, name: Path) -> None:
    """Make `name` another name of a file, in place of what had it."""
    with replacing(name) as temporary:
        os.link(path, temporary)
