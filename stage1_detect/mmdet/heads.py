"""Run the second stage of Mask R-CNN and keep the scores of all classes.

Axes: B images, R proposals of an image, N detections of an image, M detections of all images,
S classes (background is the last of S + 1 columns), C channels, h w feature cells, m cells per side
of a mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orn.stage1_detect.mmdet.library import RoIHead, bbox2roi, multiclass_nms
from orn.stage1_detect.mmdet.masks import find_borders


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePredictions:
    """Detections of the box head in one image, by decreasing score, on the model's device."""

    boxes: Tensor
    """(N, 4) float32 x1 y1 x2 y2 in pixels of the network's input."""
    scores: Tensor
    """(N,) float32, score of the predicted class."""
    labels: Tensor
    """(N,) int64, the predicted class."""
    class_scores: Tensor
    """(N, S) float32, softmax scores of the proposal, without the background."""
    checksum: Tensor
    """() float32, sum of the head's output; finite if the entire output is."""

    def __len__(self) -> int:
        """Return the number of detections."""
        return self.scores.shape[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDetections:
    """The detections in a frame before encoding, on the CPU."""

    height: int
    """Height of the frame."""
    width: int
    """Width of the frame."""
    boxes: Tensor
    """(N, 4) float32 x1 y1 x2 y2 in pixels of the frame, not clipped."""
    scores: Tensor
    """(N,) float32."""
    labels: Tensor
    """(N,) int64."""
    class_scores: Tensor
    """(N, 80) float32."""
    masks: Tensor | tuple[NDArray[np.int64], ...]
    """(N, m, m) float32, the mask in its box; if pasted, (R,) int64 pixels per detection at which
    its runs start and end."""
    is_finite: bool = True
    """Whether the network's output is finite; if not, the other fields are undefined."""


def predict_boxes(
    roi_head: RoIHead,
    feats_BChw: tuple[Tensor, ...],
    proposals: list[Any],
    metas: list[dict[str, Any]],
) -> list[ImagePredictions]:
    """Return the detections of each image after non-maximum suppression.

    Boxes, scores and labels are the same as from `StandardRoIHead.predict_bbox(rescale=False)`.

    Args:
        roi_head: MMDetection's head.
        feats_BChw: features, one tensor per level of the FPN.
        proposals: InstanceData of the RPN head, one per image.
        metas: MMDetection's meta information, one per image.
    """
    rois = bbox2roi([proposal.bboxes for proposal in proposals])
    if not rois.shape[0]:
        return [no_detections(roi_head.bbox_head, rois) for _ in metas]
    outputs = roi_head._bbox_forward(feats_BChw, rois)
    counts = [len(proposal) for proposal in proposals]
    return [
        _suppress(roi_head, rois_R5, logits_RS1, deltas_RD, image_hw=meta["img_shape"])
        for rois_R5, logits_RS1, deltas_RD, meta in zip(
            rois.split(counts),
            outputs["cls_score"].float().split(counts),
            outputs["bbox_pred"].float().split(counts),
            metas,
            strict=True,
        )
    ]


def predict_masks(
    roi_head: RoIHead, feats_BChw: tuple[Tensor, ...], detections: list[ImagePredictions]
) -> list[Tensor]:
    """Return, for each image, (N, m, m) float32 probabilities of the object in its box's cells."""
    rois = bbox2roi([found.boxes for found in detections])
    if not rois.shape[0]:
        return [rois.new_zeros((0, 1, 1)) for _ in detections]
    logits_MCmm = roi_head._mask_forward(feats_BChw, rois)["mask_preds"]
    if roi_head.mask_head.class_agnostic:
        logits_Mmm = logits_MCmm[:, 0]
    else:
        labels_M = torch.cat([found.labels for found in detections])
        logits_Mmm = logits_MCmm[torch.arange(len(labels_M), device=labels_M.device), labels_M]
    return list(logits_Mmm.float().sigmoid().split([len(found) for found in detections]))


def _suppress(
    roi_head: RoIHead,
    rois_R5: Tensor,
    logits_RS1: Tensor,
    deltas_RD: Tensor,
    *,
    image_hw: tuple[int, int],
) -> ImagePredictions:
    """Apply softmax, box decoding and non-maximum suppression per class to one image."""
    head, settings = roi_head.bbox_head, roi_head.test_cfg
    if not rois_R5.shape[0]:
        return no_detections(head, rois_R5)
    checksum = logits_RS1.sum() + deltas_RD.sum()
    scores_RS1 = logits_RS1.softmax(dim=-1)
    kept_N5, labels_N, rows_N = multiclass_nms(
        decode_boxes(head, rois_R5, deltas_RD, image_hw=image_hw).flatten(1),
        scores_RS1,
        settings.score_thr,
        settings.nms,
        settings.max_per_img,
        return_inds=True,
    )
    # The index counts (proposal, class) pairs, class fastest.
    class_scores_NS = scores_RS1[rows_N // head.num_classes, : head.num_classes]
    return ImagePredictions(
        boxes=kept_N5[:, :4],
        scores=kept_N5[:, 4],
        labels=labels_N,
        class_scores=class_scores_NS,
        checksum=checksum,
    )


def decode_boxes(
    bbox_head: Any, rois_R5: Tensor, deltas_RD: Tensor, *, image_hw: tuple[int, int]
) -> Tensor:
    """Return the (R, S, 4) box of each proposal and class; (R, 1, 4) for a class-agnostic head."""
    deltas_RD = deltas_RD.nan_to_num(0, 0, 0)  # boxes with NaN would cause errors in later steps
    boxes_per_row = 1 if bbox_head.reg_class_agnostic else bbox_head.num_classes
    boxes: Tensor = bbox_head.bbox_coder.decode(
        rois_R5.repeat_interleave(boxes_per_row, dim=0)[:, 1:],
        deltas_RD.view(-1, bbox_head.bbox_coder.encode_size),
        max_shape=image_hw,
    )
    return boxes.view(len(rois_R5), boxes_per_row, 4)


def no_detections(bbox_head: Any, like: Tensor) -> ImagePredictions:
    """Return an empty result with the device and dtype of `like`."""
    return ImagePredictions(
        boxes=like.new_zeros((0, 4)),
        scores=like.new_zeros(0),
        labels=like.new_zeros(0, dtype=torch.long),
        class_scores=like.new_zeros((0, bbox_head.num_classes)),
        checksum=like.new_zeros(()),
    )


def to_host(
    found: list[ImagePredictions],
    masks: list[Tensor],
    metas: list[dict[str, Any]],
    *,
    checksums_B: Tensor,
    mask_threshold: float,
    paste: bool,
) -> list[RawDetections]:
    """Copy the detections in frames of the same size to the CPU, in pixels of the frame.

    Args:
        found: detections of the box head in each frame.
        masks: (N, m, m) float32 masks in their boxes, for each frame.
        metas: MMDetection's meta information of each frame (`ori_shape`, `scale_factor`).
        checksums_B: (B,) checksums of the first stage.
        mask_threshold: minimum probability of an object's pixel.
        paste: whether to paste masks on the device and copy only the borders of their runs.
    """
    height, width = metas[0]["ori_shape"][:2]
    counts = [len(one) for one in found]
    sums = [one.checksum + each.sum() for one, each in zip(found, masks, strict=True)]
    finite = (torch.stack(sums) + checksums_B).isfinite().tolist()
    boxes_M4 = torch.cat(
        [_in_frame(one.boxes, meta) for one, meta in zip(found, metas, strict=True)]
    )
    masks_Mmm = torch.cat([each for each in masks if len(each)] or masks[:1])
    on_host: Sequence[Any]
    if paste:
        borders = iter(
            find_borders(masks_Mmm, boxes_M4, height=height, width=width, threshold=mask_threshold)
        )
        on_host = [tuple(islice(borders, count)) for count in counts]
    else:
        on_host = masks_Mmm.cpu().split(counts)
    # One copy per field, not per image: every copy waits for the device.
    scores, labels, rows = (
        torch.cat([getattr(one, name) for one in found]).cpu().split(counts)
        for name in ("scores", "labels", "class_scores")
    )
    boxes = boxes_M4.cpu().split(counts)
    return [
        RawDetections(
            height=height,
            width=width,
            boxes=boxes[place],
            scores=scores[place],
            labels=labels[place],
            class_scores=rows[place],
            masks=on_host[place],
            is_finite=finite[place],
        )
        for place in range(len(found))
    ]


def _in_frame(boxes_N4: Tensor, meta: dict[str, Any]) -> Tensor:
    # As in MMDetection: a float32 division by the ratio (x, y) of the resized frame to the frame.
    return boxes_N4 / boxes_N4.new_tensor(meta["scale_factor"]).repeat(2)
