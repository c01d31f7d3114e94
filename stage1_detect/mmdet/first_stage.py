"""What does not depend on what a frame shows: backbone, pyramid and the proposal head's layers.

On a GPU these are hundreds of short kernels, always the same for frames of one size: `Repeated`
records them as a CUDA graph, which a GPU runs without being told each one.

Axes: B images, C channels, H W pixels, h w feature cells.
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
"""Makes a context of a part's name; benchmarks time the parts with it."""

_EAGER_CALLS = 2
"""Calls of a size before it is recorded: the last batch of a video seldom comes again."""
_MOST_GRAPHS = 4
"""Sizes that are recorded; each keeps its activations on the GPU."""


def unwatched(name: str) -> AbstractContextManager[None]:
    """A `During` that does nothing."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStage:
    """What the first stage gives for a batch; float32, one tensor a level of the pyramid."""

    feats_BChw: tuple[Tensor, ...]
    """Features, contiguous as roi_align wants them."""
    scores_BAhw: list[Tensor]
    """The proposal head's logits, of A anchors a cell."""
    deltas_BDhw: list[Tensor]
    """Its moves of the anchors, D = 4 A."""
    checksums_B: Tensor
    """Finite where all that it gave is."""


def first_stage(
    model: MaskRCNN, inputs_BCHW: Tensor, *, precision: Precision, during: During = unwatched
) -> FirstStage:
    """Computes it for normalised frames of one size, in channels_last memory."""
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
    """`compute`, replayed where a size of its input repeats; results are those of `compute`.

    What a call returns may be overwritten by the next call of that size.
    """

    def __init__(self, compute: Compute, capture: Callable[[Compute, Tensor], Compute]) -> None:
        """Records nothing yet; `capture` makes of a computation and an input of its size one that
        is replayed."""
        self._compute, self._capture = compute, capture
        self._calls: Counter[torch.Size] = Counter()
        self._recorded: dict[torch.Size, Compute] = {}

    def __call__(self, inputs_BCHW: Tensor) -> FirstStage:
        """As `compute`."""
        size = inputs_BCHW.shape
        if size not in self._recorded:
            self._calls[size] += 1
            if self._calls[size] <= _EAGER_CALLS or len(self._recorded) == _MOST_GRAPHS:
                return self._compute(inputs_BCHW)
            try:
                self._recorded[size] = self._capture(self._compute, inputs_BCHW)
            except RuntimeError as err:  # such as too little memory; computing as before is right
                logger.warning("no CUDA graph for a batch of %s: %s", tuple(size), err)
                self._recorded[size] = self._compute
        return self._recorded[size](inputs_BCHW)


def capture_graph(compute: Compute, example_BCHW: Tensor) -> Compute:
    """`compute` as a CUDA graph for inputs like this one, on the current device.

    Raises:
        RuntimeError: whatever torch raises where it cannot be recorded.
    """
    inputs_BCHW = example_BCHW.clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # libraries choose their algorithms before, as torch asks for
        compute(inputs_BCHW)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Other threads pin and copy frames meanwhile, which must not end the recording.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        found = compute(inputs_BCHW)

    def replay(given_BCHW: Tensor) -> FirstStage:
        inputs_BCHW.copy_(given_BCHW)
        graph.replay()
        return found

    return replay
