"""What ends a training from outside of it, said in one line with what to do.

A GPU that is out of memory: what a step keeps for the gradient grows with clips, frames and pixels,
so halving one of them halves it; the rest are weights, gradients and what the optimiser remembers.
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

_WANTED = re.compile(r"Tried to allocate [\d.]+ \w+")
_COPIES = 4
"""Of a trained weight: itself, its gradient, and two means of Adam."""
_PIXEL_STRIDE = 16


@contextmanager
def failures_told(
    recipe: Recipe, phase: Phase, network: nn.Module, *, num_frames: int
) -> Iterator[None]:
    """Says what ended the steps in the block.

    Raises:
        TrainingError: if the GPU is out of memory, or a process that makes batches has ended.
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
    """One line: what a step was made of, and what each smaller setting saves.

    Args:
        reason: what torch said.
        recipe: of the run.
        phase: in which it was.
        num_frames: T of a clip.
        grown_bytes: memory that grows with what a step is made of; 0 where it is not known.
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
    smaller = f"give another --run with one of --set {saved}; " if saved else ""
    wanted = _WANTED.search(reason)
    return (
        f"phase {phase.name}: the GPU is out of memory ({wanted[0] if wanted else 'no number'}) "
        f"with {name}={size}, {num_frames} frames of {height} x {width} a clip, precision "
        f"{recipe.precision}; {smaller}"
        "optimiser.accumulation=2 makes up for half a batch, checkpoint_activations changes no "
        "weights"
    )


def _saved(share: float, grown_bytes: int) -> str:
    size = f", {share * grown_bytes / 2**30:.1f} GiB" if grown_bytes else ""
    return f"saves about {100 * share:.0f} %{size}"
