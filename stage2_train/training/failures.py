"""Errors from lost workers and from a GPU that is out of memory, with remedies.

Memory for activations is proportional to the numbers of clips, frames and pixels; the remaining
memory holds weights, gradients and the optimizer state.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from orn.shared.errors import TrainingError
from orn.stage2_train.clips.batches import worker_losses_reported
from orn.stage2_train.recipe import Recipe
from orn.stage2_train.runs.phases import Phase

_ALLOCATION = re.compile(r"Tried to allocate [\d.]+ \w+")
_COPIES = 4
"""Number of tensors per trained weight: the weight, its gradient, and two moments of Adam."""
_PIXEL_STRIDE = 16


@contextmanager
def failures_reported(
    recipe: Recipe, phase: Phase, network: nn.Module, *, num_frames: int
) -> Iterator[None]:
    """Convert errors raised by the steps in the block.

    Raises:
        TrainingError: if the GPU is out of memory, or a worker process has terminated.
    """
    try:
        with worker_losses_reported():
            yield
    except torch.OutOfMemoryError as err:
        peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        fixed = sum(
            weight.nbytes * (_COPIES if weight.requires_grad else 1)
            for weight in network.parameters()
        )
        raise TrainingError(
            out_of_memory(
                str(err), recipe, phase, num_frames=num_frames, grown_bytes=max(peak - fixed, 0)
            )
        ) from err


def out_of_memory(
    reason: str, recipe: Recipe, phase: Phase, *, num_frames: int, grown_bytes: int
) -> str:
    """Return a message with the sizes of a step and the memory saved by smaller settings.

    Args:
        reason: PyTorch's message.
        recipe: recipe of the run.
        phase: current phase.
        num_frames: T, frames per clip.
        grown_bytes: memory for activations in bytes; 0 if unknown.
    """
    size, (height, width) = phase.batch_size, recipe.data.crop
    is_first = recipe.phases.object_head_batch_size is not None and phase.heads == "object"
    name = "phases.object_head_batch_size" if is_first else "optimiser.batch_size"
    stride = _PIXEL_STRIDE * recipe.model.conv5_object_stride
    low, narrow = (max(round(side * 0.7 / stride), 1) * stride for side in (height, width))
    choices = [
        (size > 1, f"{name}={size // 2}", size // 2 / size),
        (num_frames > 2, f"data.clip_frames={num_frames // 2}", num_frames // 2 / num_frames),
        (
            low * narrow < height * width,
            f"data.crop=[{low},{narrow}]",
            low * narrow / height / width,
        ),
        (recipe.precision == "fp32", "precision=bf16", 0.7),
        (
            not (recipe.checkpoint_activations or recipe.compile),
            "checkpoint_activations=true",
            0.5,
        ),
    ]
    saved = ", ".join(
        f"{setting} ({_saved(1 - share, grown_bytes)})" for fits, setting, share in choices if fits
    )
    smaller = f"start a different --run with one of --set {saved}; " if saved else ""
    allocation = _ALLOCATION.search(reason)
    return (
        f"phase {phase.name}: the GPU is out of memory "
        f"({allocation[0] if allocation else 'allocation of unknown size'}) with {name}={size}, "
        f"clips of {num_frames} frames ({height} x {width}), precision {recipe.precision}; "
        f"{smaller}optimiser.accumulation=2 compensates for half a batch, and "
        "checkpoint_activations does not change results"
    )


def _saved(share: float, grown_bytes: int) -> str:
    size = f", {share * grown_bytes / 2**30:.1f} GiB" if grown_bytes else ""
    return f"saves about {100 * share:.0f} %{size}"
