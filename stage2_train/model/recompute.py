"""Gradient checkpointing: less memory in training, for computing the backbone's blocks twice."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["run_again_for_gradient"]


def run_again_for_gradient(block: nn.Module, feats_MChw: Tensor, num_frames: int) -> Tensor:
    """The block's output; nothing inside the block is kept, it is computed once more for the
    gradient.

    Values and gradients are those of `block(feats_MChw, num_frames)`, to the bit where its kernels
    are repeatable. Running statistics of batch normalisation are updated by the first computation
    only.
    """
    output_MChw: Tensor = checkpoint(
        block,
        feats_MChw,
        num_frames,
        use_reentrant=False,
        preserve_rng_state=False,  # a block draws nothing
        context_fn=lambda: (nullcontext(), _statistics_left_alone(block)),
    )
    return output_MChw


@contextmanager
def _statistics_left_alone(block: nn.Module) -> Iterator[None]:
    """Lets normalisations count in copies of their buffers, which are dropped afterwards."""
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = [dict(norm.named_buffers()) for norm in norms]
    for norm, buffers in zip(norms, kept, strict=True):
        for name, buffer in buffers.items():
            setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)
