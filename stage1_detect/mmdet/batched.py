"""Resize frames, select proposals and predict boxes for all frames of a batch together. A GPU waits
for the host whenever a number of boxes is read. MMDetection reads one such number per frame and
level, this module one per batch. Results are the same as MMDetection's, except for boxes whose
overlap equals the threshold up to rounding.

Axes: B images, N anchors of an image or level, R proposals of a batch, M boxes before suppression,
S classes (background is the last of S + 1 columns), H W pixels of a frame, h w of a resized frame.
"""

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor

from orn.shared.errors import DetectorError
from orn.stage1_detect.mmdet.first_stage import FirstStage
from orn.stage1_detect.mmdet.heads import ImagePredictions, decode_boxes, no_detections
from orn.stage1_detect.mmdet.library import MaskRCNN, RoIHead


def check_batched(model: MaskRCNN, name: str) -> None:
    """Check that the functions in this module support a model; `name` is the name of its config."""
    for place, cfg in (("rpn", model.rpn_head.test_cfg), ("rcnn", model.roi_head.test_cfg)):
        nms = dict(cfg.get("nms") or {})
        if nms.pop("type", "nms") != "nms" or set(nms) != {"iou_threshold"}:
            raise DetectorError(
                f"detector config {name}: expected model.test_cfg.{place}.nms of type 'nms' and "
                f"only an iou_threshold, got {dict(cfg.get('nms') or {})!r:.80}; omit --fast"
            )
    if not model.rpn_head.use_sigmoid_cls:
        raise DetectorError(
            f"detector config {name}: expected an RPN head with sigmoid scores, got softmax; "
            "omit --fast"
        )


def resize_as_cv2(frames_BHWC: Tensor, height: int, width: int) -> Tensor:
    """Resize (B, H, W, C) uint8 frames bilinearly, on any device, bit-identical to OpenCV.

    OpenCV's weights are multiples of 1/2048, and it truncates intermediate results. At the left and
    right borders, it uses the last pixel; at the top and bottom, both weights of the repeated row.
    """
    device = frames_BHWC.device
    near, far, near_weight, far_weight = (
        torch.from_numpy(each).to(device)
        for each in _taps(frames_BHWC.shape[2], width, clamped=True)
    )
    rows_BHwC = frames_BHWC[:, :, near].int() * near_weight[:, None]
    rows_BHwC += frames_BHWC[:, :, far].int() * far_weight[:, None]
    rows_BHwC >>= 4
    top, bottom, top_weight, bottom_weight = (
        torch.from_numpy(each).to(device)
        for each in _taps(frames_BHWC.shape[1], height, clamped=False)
    )
    sums_BhwC = (rows_BHwC[:, top] * top_weight[:, None, None]) >> 16
    sums_BhwC += (rows_BHwC[:, bottom] * bottom_weight[:, None, None]) >> 16
    return ((sums_BhwC + 2) >> 2).byte()


def _taps(size: int, resized: int, *, clamped: bool) -> tuple[NDArray[np.integer], ...]:
    """Return, for each resized pixel, its two source pixels (int64) and their weights (int32)."""
    place = ((np.arange(resized) + 0.5) * (1 / (resized / size)) - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int64)
    share = place - first.astype(np.float32)
    if clamped:
        share[(first < 0) | (first >= size - 1)] = 0
    weights = [np.rint(each * np.float32(2048)).astype(np.int32) for each in (1 - share, share)]
    return first.clip(0, size - 1), (first + 1).clip(0, size - 1), weights[0], weights[1]


def suppress(
    boxes_M4: Tensor,
    scores_M: Tensor,
    *,
    image_M: Tensor,
    group_M: Tensor,
    num_images: int,
    iou_threshold: float,
    most: int,
) -> tuple[Tensor, list[int]]:
    """Apply non-maximum suppression within each group of each image.

    Args:
        boxes_M4: (M, 4) float32, x1 y1 x2 y2.
        scores_M: (M,) float32.
        image_M: (M,) int64, image of each box.
        group_M: (M,) int64, group of each box, such as its class.
        num_images: number of images.
        iou_threshold: IoU with a better box above which a box is dropped.
        most: maximum number of boxes per image.

    Returns:
        The rows that are kept, by image and decreasing score, and their number in each image.
    """
    if not len(boxes_M4):
        return image_M, [0] * num_images
    # As in MMDetection, groups of an image are placed next to each other, in float32.
    ends_B = boxes_M4.new_zeros(num_images)
    ends_B.scatter_reduce_(0, image_M, boxes_M4.amax(1), "amax", include_self=False)
    placed_M4 = boxes_M4 + (group_M.to(boxes_M4) * (ends_B[image_M] + 1))[:, None]
    if num_images > 1:  # so are images, in float64, which avoids rounding
        placed_M4 = placed_M4.double()
        placed_M4 = placed_M4 + (image_M * (placed_M4.amax() + 1))[:, None]
    kept = torchvision.ops.nms(placed_M4, scores_M.to(placed_M4), iou_threshold)
    kept = kept[image_M[kept].argsort(stable=True)]
    counts_B = torch.zeros(num_images, dtype=torch.long, device=kept.device)
    counts_B.index_add_(0, image_M[kept], torch.ones_like(kept))
    first_B = counts_B.cumsum(0) - counts_B
    rank = torch.arange(len(kept), device=kept.device) - first_B[image_M[kept]]
    return kept[rank < most], counts_B.clamp(max=most).tolist()


def propose(
    model: MaskRCNN, stage: FirstStage, priors: list[Tensor], *, image_hw: tuple[int, int]
) -> Tensor:
    """Return (R, 5) float32 proposals for frames of one size: image index and x1 y1 x2 y2.

    Args:
        model: MMDetection's model.
        stage: output of the first stage.
        priors: anchors of each level.
        image_hw: height and width of the resized frames.
    """
    head = model.rpn_head
    settings = head.test_cfg
    num_images = len(stage.checksums_B)
    limit = settings.get("nms_pre", -1)
    scores, deltas, anchors, levels = [], [], [], []
    for level, (logits_BAhw, moves_BDhw, priors_N4) in enumerate(
        zip(stage.scores_BAhw, stage.deltas_BDhw, priors, strict=True)
    ):
        scores_BN = logits_BAhw.permute(0, 2, 3, 1).reshape(num_images, -1).sigmoid()
        deltas_BN4 = moves_BDhw.permute(0, 2, 3, 1).reshape(num_images, -1, 4)
        anchors_BN4 = priors_N4.expand(num_images, -1, -1)
        if 0 < limit < scores_BN.shape[1]:
            scores_BN, order_BN = scores_BN.sort(dim=1, descending=True)
            scores_BN, order_BN = scores_BN[:, :limit], order_BN[:, :limit]
            deltas_BN4 = deltas_BN4.gather(1, order_BN[..., None].expand(-1, -1, 4))
            anchors_BN4 = priors_N4[order_BN]
        scores.append(scores_BN)
        deltas.append(deltas_BN4)
        anchors.append(anchors_BN4)
        levels.append(torch.full_like(scores_BN, level, dtype=torch.long))
    scores_M, levels_M = torch.cat(scores, 1).flatten(), torch.cat(levels, 1).flatten()
    boxes_M4 = head.bbox_coder.decode(
        torch.cat(anchors, 1).flatten(0, 1), torch.cat(deltas, 1).flatten(0, 1), max_shape=image_hw
    )
    image_M = torch.arange(num_images, device=scores_M.device)
    image_M = image_M.repeat_interleave(len(scores_M) // num_images)
    smallest = settings.get("min_bbox_size", -1)
    if smallest >= 0:
        sides_M2 = boxes_M4[:, 2:] - boxes_M4[:, :2]
        large = (sides_M2 > smallest).all(1).nonzero()[:, 0]
        scores_M, levels_M, boxes_M4, image_M = (
            each[large] for each in (scores_M, levels_M, boxes_M4, image_M)
        )
    kept, _ = suppress(
        boxes_M4,
        scores_M,
        image_M=image_M,
        group_M=levels_M,
        num_images=num_images,
        iou_threshold=settings.nms.iou_threshold,
        most=settings.max_per_img,
    )
    return torch.cat([image_M[kept, None].to(boxes_M4), boxes_M4[kept]], 1)


def predict_boxes_together(
    roi_head: RoIHead,
    feats_BChw: tuple[Tensor, ...],
    rois_R5: Tensor,
    *,
    image_hw: tuple[int, int],
) -> list[ImagePredictions]:
    """Return the detections of `heads.predict_boxes`, given the proposals from `propose`."""
    head, settings = roi_head.bbox_head, roi_head.test_cfg
    num_images = len(feats_BChw[0])
    if not len(rois_R5):
        return [no_detections(head, rois_R5)] * num_images
    outputs = roi_head._bbox_forward(feats_BChw, rois_R5)
    logits_RS1, deltas_RD = outputs["cls_score"].float(), outputs["bbox_pred"].float()
    image_R = rois_R5[:, 0].long()
    checksums_B = rois_R5.new_zeros(num_images)
    checksums_B.index_add_(0, image_R, logits_RS1.sum(1) + deltas_RD.sum(1))
    scores_RS = logits_RS1.softmax(dim=-1)[:, : head.num_classes]
    boxes = decode_boxes(head, rois_R5, deltas_RD, image_hw=image_hw)
    row_M, label_M = (scores_RS > settings.score_thr).nonzero(as_tuple=True)
    boxes_M4 = boxes[row_M, 0 if head.reg_class_agnostic else label_M]
    scores_M = scores_RS[row_M, label_M]
    kept, counts = suppress(
        boxes_M4,
        scores_M,
        image_M=image_R[row_M],
        group_M=label_M,
        num_images=num_images,
        iou_threshold=settings.nms.iou_threshold,
        most=settings.max_per_img,
    )
    columns = (boxes_M4[kept], scores_M[kept], label_M[kept], scores_RS[row_M[kept]])
    return [
        ImagePredictions(
            boxes=boxes, scores=scores, labels=labels, class_scores=rows, checksum=sums
        )
        for boxes, scores, labels, rows, sums in zip(
            *(each.split(counts) for each in columns), checksums_B.unbind(), strict=True
        )
    ]
