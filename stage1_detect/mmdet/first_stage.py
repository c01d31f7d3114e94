"""Run the first stage of Mask R-CNN: backbone, FPN and the layers of the RPN head.

On a GPU, these are hundreds of short kernels, the same for all frames of a size. `Repeated`
captures them as a CUDA graph, which avoids launching each kernel.

Axes: B images, C channels, H W pixels, h w feature cells, A anchors per cell, D = 4 A.
"""

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from orn.stage1_detect.mmdet.library import MaskRCNN
from orn.stage1_detect.mmdet.model import Precision, autocast

logger = logging.getLogger(__name__)

During: TypeAlias = Callable[[str], AbstractContextManager[object]]
"""Returns a context for a named part of the network; benchmarks use it for timing."""

_EAGER_CALLS = 2
"""Number of calls with a size before its capture: the last batch of a video is often unique."""
_MOST_GRAPHS = 4
"""Maximum number of captured sizes; each keeps its activations in GPU memory."""


def unwatched(name: str) -> AbstractContextManager[None]:
    """Return an empty context."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStage:
    """Output of the first stage for a batch; float32, one tensor per FPN level."""

    feats_BChw: tuple[Tensor, ...]
    """Features, contiguous as roi_align requires."""
    scores_BAhw: list[Tensor]
    """Objectness logits of the RPN head."""
    deltas_BDhw: list[Tensor]
    """Box deltas of the RPN head."""
    checksums_B: Tensor
    """Sums of the RPN head's output; finite if the entire output is."""


def first_stage(
    model: MaskRCNN, inputs_BCHW: Tensor, *, precision: Precision, during: During = unwatched
) -> FirstStage:
    """Run the first stage on normalized frames of the same size, in channels_last memory format."""
    device = inputs_BCHW.device
    with during("backbone+FPN"), autocast(precision, device):
        feats = model.extract_feat(inputs_BCHW)
    with during("RPN head"), autocast(precision, device):
        scores, deltas = model.rpn_head(feats)
    scores, deltas = ([level.float() for level in levels] for levels in (scores, deltas))
    sums = [level.flatten(1).sum(1) for levels in (scores, deltas) for level in levels]
    return FirstStage(
        feats_BChw=tuple(level.float().contiguous() for level in feats),
        scores_BAhw=scores,
        deltas_BDhw=deltas,
        checksums_B=torch.stack(sums).sum(0),
    )


Compute: TypeAlias = Callable[[Tensor], FirstStage]


class Repeated:
    """Wraps `compute` and captures it for input sizes that repeat; results do not change.

    The next call with the same size may overwrite the returned tensors.
    """

    def __init__(self, compute: Compute, capture: Callable[[Compute, Tensor], Compute]) -> None:
        """Initialize; `capture` records a computation on an example and returns its replay."""
        self._compute, self._capture = compute, capture
        self._calls: Counter[torch.Size] = Counter()
        self._recorded: dict[torch.Size, Compute] = {}

    def __call__(self, inputs_BCHW: Tensor) -> FirstStage:
        """Run `compute` or its replay."""
        size = inputs_BCHW.shape
        if size not in self._recorded:
            self._calls[size] += 1
            if self._calls[size] <= _EAGER_CALLS or len(self._recorded) == _MOST_GRAPHS:
                return self._compute(inputs_BCHW)
            try:
                self._recorded[size] = self._capture(self._compute, inputs_BCHW)
            except RuntimeError as err:  # such as out of memory
                logger.warning(
                    "batch of shape %s: running without a CUDA graph (%s)", tuple(size), err
                )
                self._recorded[size] = self._compute
        return self._recorded[size](inputs_BCHW)


def capture_graph(compute: Compute, example_BCHW: Tensor) -> Compute:
    """Capture `compute` as a CUDA graph for inputs of this shape, on the current device.

    Raises:
        RuntimeError: if torch cannot capture it.
    """
    inputs_BCHW = example_BCHW.clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # torch requires a warm-up, in which cuDNN selects algorithms
        compute(inputs_BCHW)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Other threads pin and copy frames at the same time, which must not invalidate the capture.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        found = compute(inputs_BCHW)

    def replay(given_BCHW: Tensor) -> FirstStage:
        inputs_BCHW.copy_(given_BCHW)
        graph.replay()
        return found

    return replay
