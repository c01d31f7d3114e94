"""Wrap methods of MMDetection's models; without half precision, their results do not change.

Axes: N detections of a frame, C classes, m cells per side of a mask, h w feature cells.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from orn.stage1_detect.mmdet.library import FCNMaskHead, Segmenter
from orn.stage1_detect.mmdet.model import autocast


def keep_mask_probabilities(model: Segmenter) -> float:
    """Make mask heads return (N, m, m) float32 probabilities in the boxes as masks, instead of
    (N, H, W) masks of the whole frame. Heads with a method of their own are not changed.

    Returns:
        The minimum probability of an object's pixel.
    """
    roi_head: Any = getattr(model, "roi_head", None)
    heads = getattr(roi_head, "mask_head", None)
    threshold = float(((roi_head and roi_head.test_cfg) or {}).get("mask_thr_binary", 0.5))
    listed: Any = heads if isinstance(heads, torch.nn.ModuleList) else [heads]
    for head in listed:
        own: Any = getattr(type(head), "_predict_by_feat_single", None)
        if own is FCNMaskHead._predict_by_feat_single and threshold >= 0:
            head._predict_by_feat_single = _probabilities_of(head)
    return threshold


def _probabilities_of(head: Any) -> Callable[..., Tensor]:
    def probabilities(
        *,
        mask_preds: Tensor,
        bboxes: Tensor,
        labels: Tensor,
        img_meta: dict[str, Any],
        rcnn_test_cfg: Any,
        rescale: bool,
        activate_map: bool,
    ) -> Tensor:
        bboxes /= bboxes.new_tensor(img_meta["scale_factor"]).repeat((1, 2))  # in place, as there
        masks_NCmm = torch.as_tensor(mask_preds, device=bboxes.device)
        if not activate_map:
            masks_NCmm = masks_NCmm.sigmoid()
        if head.class_agnostic:
            return masks_NCmm[:, 0]
        return masks_NCmm[torch.arange(len(labels), device=labels.device), labels]

    return probabilities


class WatchedFeatures:
    """Runs the backbone, the neck and the layers of the RPN head in half precision, and notes which
    frames have finite results. All other layers are in float32: half precision cannot represent
    all pixel coordinates above 256 (bfloat16) or 2048 (float16)."""

    def __init__(self, model: Segmenter, precision: str) -> None:
        """Wrap the methods of a model on its device."""
        self._precision, self._device = precision, next(model.parameters()).device
        is_half = precision in ("float16", "bfloat16")
        self._layout = torch.channels_last if is_half else torch.contiguous_format
        self._sums: list[Tensor] = []
        model.to(memory_format=self._layout)
        rpn_head: Any = getattr(model, "rpn_head", None)
        model.extract_feat = self._watched(model.extract_feat, sums=rpn_head is None)
        if rpn_head is not None:  # whose results depend on all features
            rpn_head.forward = self._watched(rpn_head.forward, sums=True)

    def clear(self) -> None:
        """Forget earlier batches."""
        self._sums.clear()

    def finite(self, num_frames: int) -> list[bool]:
        """Return whether the results of each frame of the batch are finite."""
        if not self._sums:  # a model that does not call its RPN head
            return [True] * num_frames
        flags: list[bool] = torch.stack(self._sums).sum(0).isfinite().tolist()
        return flags

    def _watched(self, method: Callable[..., Any], *, sums: bool) -> Callable[..., Any]:
        def watched(inputs: Any) -> Any:
            if isinstance(inputs, Tensor):
                inputs = inputs.contiguous(memory_format=self._layout)
            with autocast(self._precision, self._device):
                found = method(inputs)
            return self._in_float32(found, sums)

        return watched

    def _in_float32(self, found: Any, sums: bool) -> Any:
        if isinstance(found, Tensor):
            found = found.float().contiguous()
            if sums:
                self._sums.append(found.flatten(1).sum(1))
            return found
        if isinstance(found, list | tuple):
            return type(found)(self._in_float32(each, sums) for each in found)
        return found
