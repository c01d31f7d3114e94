"""Checkpoints of a run: the last checkpoint, the previous one, and the best weights.

RUN/last.safetensors       weights, optimizer state and training progress
    previous.safetensors   the previous checkpoint, used if the last one is corrupt
    model.safetensors      best weights of a phase

All files are written atomically. While a new `last.safetensors` is written, the current one has
both names, so that keeping the previous checkpoint needs no additional disk space.
"""

import json
import logging
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from orn.shared.errors import CheckpointError, PipelineError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.torch_files import mismatch
from orn.stage2_train.model.tensor_files import read_tensors, write_tensors
from orn.stage2_train.runs.phases import Phase
from orn.stage2_train.runs.run_folder import BEST_NAME, CONFIG_DIGEST, LAST_NAME, PREVIOUS_NAME
from orn.stage2_train.runs.training_state import TrainingState

logger = logging.getLogger(__name__)

CORRUPT_NAME = "corrupt.safetensors"

_WHAT = "a checkpoint of `orn train`"
_REMEDY = "restart training in a different --run"
_BEST_REMEDY = "download or export the model again, or restart training in a different --run"
_OPTIMIZER_STATE = re.compile(r"optimizer\.([0-9]{1,9})\.(\w+)")


OptimizerState = Mapping[int, Mapping[str, Tensor]]
"""Optimizer state by index of the weight."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """Checkpoint of a training run."""

    model: Mapping[str, Tensor]
    """State dict of the network."""
    optimizer: OptimizerState
    """State of the phase's optimizer; empty at the start of a phase."""
    state: TrainingState
    """Training progress."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BestWeights:
    """The weights with the best validation metric in a phase."""

    model: Mapping[str, Tensor]
    """State dict of the network."""
    phase: int
    """Index of the phase."""
    step: int
    """Number of completed training steps."""


def save_last(run: Path, checkpoint: Checkpoint, *, config: str) -> None:
    """Write the last checkpoint of a run, and keep the current one as `previous.safetensors`.

    Args:
        run: run folder.
        checkpoint: the checkpoint.
        config: digest of the run's configuration; see `config_digest`.

    Raises:
        PipelineError: if the file cannot be written; existing checkpoints do not change.
    """
    last, previous = run / LAST_NAME, run / PREVIOUS_NAME
    try:
        if last.is_file():
            _link(last, previous)
        else:
            previous.unlink(missing_ok=True)  # left by a different training run
    except PipelineError as err:  # a file system without hard links
        logger.warning("%s; the second-to-last checkpoint is not kept", err)
    tensors = {f"model.{name}": tensor for name, tensor in checkpoint.model.items()}
    for number, values in checkpoint.optimizer.items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in values.items()}
    state = json.dumps(asdict(checkpoint.state))
    write_tensors(last, tensors, {"state": state, CONFIG_DIGEST: config})


def load_last(run: Path, *, repair: bool) -> Checkpoint | None:
    """Return the last checkpoint of a run, or the previous one if it is corrupt; None without any.

    Args:
        run: run folder.
        repair: whether the previous checkpoint replaces a corrupt one, which is renamed; set this
            in only one of several processes.

    Raises:
        CheckpointError: if there is no valid checkpoint, or training cannot be resumed from it.
    """
    last, previous = run / LAST_NAME, run / PREVIOUS_NAME
    if not last.is_file():
        return None
    path, error = last, None
    try:
        content = read_tensors(last, what=_WHAT, remedy=_REMEDY)
    except CheckpointError as err:
        path, error = previous, err
        try:
            content = read_tensors(previous, what=_WHAT, remedy=_REMEDY)
        except CheckpointError:
            raise err from None
    checkpoint = _checkpoint(path, *content)
    if error is not None and repair:
        logger.warning(
            "%s; resuming from %s, step %d; renamed the corrupt file to %s",
            error, PREVIOUS_NAME, checkpoint.state.step, CORRUPT_NAME,
        )  # fmt: skip
        _link(last, run / CORRUPT_NAME)
        _link(previous, last)  # atomically, so that there is always a last checkpoint
    return checkpoint


def save_best(
    run: Path, model: Mapping[str, Tensor], *, phase: int, step: int, config: str
) -> None:
    """Write the best weights of a phase, with the digest of the run's configuration.

    Raises:
        PipelineError: if the file cannot be written; the existing file does not change.
    """
    metadata = {"phase": str(phase), "step": str(step), CONFIG_DIGEST: config}
    write_tensors(run / BEST_NAME, model, metadata)


def load_best(run: Path, *, phase: int | None = None) -> BestWeights | None:
    """Return the memory-mapped best weights of a run; None if there are none yet.

    Args:
        run: run folder.
        phase: phase that has just ended; None for the last phase with best weights.

    Raises:
        CheckpointError: if the file is corrupt or has weights from a later phase, which is possible
            after resuming from the previous checkpoint.
    """
    path = run / BEST_NAME
    if not os.path.lexists(path):
        return None
    model, metadata = read_tensors(path, what="the best weights of a run", remedy=_BEST_REMEDY)
    try:
        best = BestWeights(model=model, phase=int(metadata["phase"]), step=int(metadata["step"]))
    except (KeyError, ValueError) as err:  # possible in a downloaded model
        raise CheckpointError(
            f"{path}: the file does not contain weights with their phase and step; {_BEST_REMEDY}"
        ) from err
    if phase is None or best.phase == phase:
        return best
    if best.phase < phase:
        return None
    raise CheckpointError(
        f"{path}: expected the best weights of phase {phase}, got the weights of phase "
        f"{best.phase}; {_REMEDY}"
    )


def check_phase(number: int, phases: Sequence[Phase], *, path: Path) -> None:
    """Raise CheckpointError if a run does not have the phase recorded in the file `path`."""
    if number >= len(phases):
        raise CheckpointError(
            f"{path}: expected one of the run's {len(phases)} phases, numbered from 0, got phase "
            f"{number}; {_REMEDY}"
        )


def check_position(state: TrainingState, phases: Sequence[Phase], *, path: Path) -> None:
    """Raise CheckpointError if the progress in the file `path` is impossible for these phases."""
    check_phase(state.phase, phases, path=path)
    phase = phases[state.phase]
    for what, number, most in (
        ("batch", state.batch, phase.num_batches - 1),
        (f"step of phase {phase.name}", state.phase_step, phase.num_steps),
    ):
        if number > most:
            raise CheckpointError(
                f"{path}: expected a {what} of at most {most}, got {number}; resume with the same "
                "number of processes, or start a different --run"
            )


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], *, path: Path) -> None:
    """Load the weights in the file `path` into a network.

    Raises:
        CheckpointError: if they do not match the network.
    """
    if problem := mismatch(weights, network.state_dict()):
        raise CheckpointError(
            f"{path}: the weights do not match the run's network: {problem}; {_REMEDY}"
        )
    network.load_state_dict(dict(weights))


def load_optimizer(optimizer: torch.optim.Optimizer, loaded: OptimizerState) -> None:
    """Load the optimizer state of a checkpoint into a new optimizer.

    Settings still come from the recipe. Tensors get the strides of their weights, as
    required by fused optimizers.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state = {
        number: {
            "step": tensors["step"].clone(),
            **{
                name: torch.empty_like(weights[number].detach()).copy_(tensors[name])
                for name in ("exp_avg", "exp_avg_sq")
            },
        }
        for number, tensors in loaded.items()
    }
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _checkpoint(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Checkpoint:
    """Return the checkpoint in a file that only `save_last` writes and whose digest is valid."""
    model: dict[str, Tensor] = {}
    optimizer: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        if match := _OPTIMIZER_STATE.fullmatch(name):
            optimizer[int(match[1])][match[2]] = tensor
        else:
            model[name.removeprefix("model.")] = tensor
    try:
        state = TrainingState(**json.loads(metadata["state"]))
    except (KeyError, TypeError, ValueError) as err:  # other weights, or another release
        raise CheckpointError(
            f"{path}: expected {_WHAT}, got weights without a training state; restore the run's "
            f"file, or {_REMEDY}"
        ) from err
    return Checkpoint(model=model, optimizer=optimizer, state=state)


def _link(path: Path, name: Path) -> None:
    """Make `name` a second name for a file, replacing any existing file with that name."""
    with replacing(name) as temporary:
        os.link(path, temporary)
