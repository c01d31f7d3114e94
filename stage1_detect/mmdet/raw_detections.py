"""What the network leaves of each frame, brought to the CPU.

Axes: N detections of a frame, M those of a batch, m cells of a mask's side, R borders of runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stage1_detect.mmdet.heads import ImagePredictions
from stage1_detect.mmdet.mask_borders import find_borders

__all__ = ["RawDetections", "to_host"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDetections:
    """One frame's detections as the network leaves them, on the CPU."""

    height: int
    """Rows of the frame."""
    width: int
    """Columns of the frame."""
    boxes: Tensor
    """(N, 4) float32 x1 y1 x2 y2 in pixels of the frame, not clipped."""
    scores: Tensor
    """(N,) float32."""
    labels: Tensor
    """(N,) int64."""
    class_scores: Tensor
    """(N, 80) float32."""
    masks: Tensor | tuple[NDArray[np.int64], ...]
    """(N, m, m) float32, the mask in its box; or, pasted already, (R,) int64 for each of the N: the
    pixels at which its runs begin and end."""


def to_host(
    found: list[ImagePredictions],
    masks: list[Tensor],
    metas: list[dict[str, Any]],
    *,
    mask_threshold: float,
    paste: bool,
) -> list[RawDetections]:
    """The detections of a batch of frames of one size, on the CPU and in pixels of the frame.

    Args:
        found: what the box head found in each frame.
        masks: per frame (N, m, m) float32, the mask in its box.
        metas: mmdet's meta information of each frame (`ori_shape` and `scale_factor` are used).
        mask_threshold: probability from which a pixel belongs to the object.
        paste: paste the masks where they are, so that only the borders of their runs are copied.
    """
    height, width = metas[0]["ori_shape"][:2]
    boxes = [_in_frame(one.boxes, meta) for one, meta in zip(found, metas, strict=True)]
    on_host: list[Any] = [each.cpu() for each in masks] if not paste else []
    if paste:
        borders = iter(
            find_borders(
                torch.cat([each for each in masks if len(each)] or masks[:1]),
                torch.cat(boxes),
                height=height,
                width=width,
                threshold=mask_threshold,
            )
        )
        on_host = [tuple(islice(borders, len(one))) for one in found]
    return [
        RawDetections(
            height=height,
            width=width,
            boxes=boxes_N4.cpu(),
            scores=one.scores.cpu(),
            labels=one.labels.cpu(),
            class_scores=one.class_scores.cpu(),
            masks=its_masks,
        )
        for one, boxes_N4, its_masks in zip(found, boxes, on_host, strict=True)
    ]


def _in_frame(boxes_N4: Tensor, meta: dict[str, Any]) -> Tensor:
    # As mmdet does: a division, in float32, by the ratio (x, y) of the resized frame to the frame.
    return boxes_N4 / boxes_N4.new_tensor(meta["scale_factor"]).repeat(2)
