"""Run the first stage of Mask R-CNN: backbone, FPN and the layers of the RPN head.

Axes: B images, C channels, H W pixels, h w feature cells, A anchors per cell, D = 4 A.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from orn.stage1_detect.mmdet.library import MaskRCNN
from orn.stage1_detect.mmdet.model import Precision, autocast

During: TypeAlias = Callable[[str], AbstractContextManager[object]]
"""Returns a context for a named part of the network; benchmarks use it for timing."""


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
