"""The second stage of Mask R-CNN with what mmdet's own path throws away: every class's score.

Axes: B images, R proposals of an image, N detections of an image, M those of all images, S classes
(background is the last of S + 1 columns), C channels, h w feature cells, m cells of a mask's side.
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
    """What the box head found in one image, by falling score; tensors on the model's device."""

    boxes: Tensor
    """(N, 4) float32 x1 y1 x2 y2 in pixels of the network's input."""
    scores: Tensor
    """(N,) float32, score of the kept class."""
    labels: Tensor
    """(N,) int64, the kept class."""
    class_scores: Tensor
    """(N, S) float32, softmax row of the proposal that it came from, background left out."""
    checksum: Tensor
    """() float32, finite if all that the head gave is."""

    def __len__(self) -> int:
        """The number of detections."""
        return self.scores.shape[0]


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
    is_finite: bool = True
    """Whether all that the network gave are numbers; where not, the rest means nothing."""


def predict_boxes(
    roi_head: RoIHead,
    feats_BChw: tuple[Tensor, ...],
    proposals: list[Any],
    metas: list[dict[str, Any]],
) -> list[ImagePredictions]:
    """Detections of each image after non-maximum suppression, at most max_per_img of the config.

    Boxes, scores and labels are those of `StandardRoIHead.predict_bbox(rescale=False)`. Of features
    there is one tensor a level of the pyramid, of proposals (InstanceData of the RPN) and mmdet's
    meta information one entry an image.
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
    """Per image (N, m, m) float32, the probability of the object in each cell of its box."""
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
    """One image: softmax, boxes, suppression per class; keeps each survivor's softmax row."""
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
    """(R, S, 4) the proposals as the head moves them for each class; (R, 1, 4) where it moves them
    alike for all."""
    deltas_RD = deltas_RD.nan_to_num(0, 0, 0)  # boxes that are none would break what comes after
    boxes_per_row = 1 if bbox_head.reg_class_agnostic else bbox_head.num_classes
    boxes: Tensor = bbox_head.bbox_coder.decode(
        rois_R5.repeat_interleave(boxes_per_row, dim=0)[:, 1:],
        deltas_RD.view(-1, bbox_head.bbox_coder.encode_size),
        max_shape=image_hw,
    )
    return boxes.view(len(rois_R5), boxes_per_row, 4)


def no_detections(bbox_head: Any, like: Tensor) -> ImagePredictions:
    """None in an image; `like` tells device and format."""
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
    """The detections of a batch of frames of one size, on the CPU and in pixels of the frame.

    Args:
        found: what the box head found in each frame.
        masks: per frame (N, m, m) float32, the mask in its box.
        metas: mmdet's meta information of each frame (`ori_shape` and `scale_factor` are used).
        checksums_B: (B,) finite where all that came before the boxes is.
        mask_threshold: probability from which a pixel belongs to the object.
        paste: paste the masks where they are, so that only the borders of their runs are copied.
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
    # One copy of each kind, not one an image: every copy waits for the device.
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
    # As mmdet does: a division, in float32, by the ratio (x, y) of the resized frame to the frame.
    return boxes_N4 / boxes_N4.new_tensor(meta["scale_factor"]).repeat(2)
