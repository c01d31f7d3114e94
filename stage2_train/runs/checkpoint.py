"""Checkpoints: plain tensors and numbers, written whole, read without running code."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.errors import CheckpointError
from shared.jobs.atomic_file import replacing
from stage2_train.training.state import TrainingState

__all__ = [
    "BEST_NAME",
    "LAST_NAME",
    "Checkpoint",
    "load_checkpoint",
    "load_weights",
    "save_checkpoint",
]

FORMAT_NAME = "orn-checkpoint"
FORMAT_VERSION = 1
LAST_NAME = "last.pt"
BEST_NAME = "best.pt"


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
        "state": checkpoint.state.to_dict(),
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
    return Checkpoint(
        model=content["model"],
        optimiser=content["optimiser"],
        state=TrainingState.from_dict(content["state"], source=str(path)),
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
