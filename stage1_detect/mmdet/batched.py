"""Frames of one size together, where mmdet takes one after another: resizing, proposals, boxes.

A GPU waits for the host wherever a number of boxes has to be known. mmdet asks for each frame and
level, this for each batch, and suppresses the boxes of all frames in one call. Results are mmdet's;
of two boxes whose overlap is the threshold to the last bit, the other one may be kept.

Axes: B images, N anchors of an image or level, R proposals of a batch, M boxes to suppress,
S classes (background is the last of S + 1 columns), H W pixels of a frame, h w of the network's.
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
    """Checks that the configuration of this name asks for nothing that this file leaves out.

    Raises:
        DetectorError: it does.
    """
    for place, cfg in (("rpn", model.rpn_head.test_cfg), ("rcnn", model.roi_head.test_cfg)):
        nms = dict(cfg.get("nms") or {})
        if nms.pop("type", "nms") != "nms" or set(nms) != {"iou_threshold"}:
            raise DetectorError(
                f"detector config {name}: the fast path wants model.test_cfg.{place}.nms of type "
                f"'nms' with an iou_threshold alone, found {dict(cfg.get('nms') or {})!r:.80}; "
                "leave --fast out"
            )
    if not model.rpn_head.use_sigmoid_cls:
        raise DetectorError(
            f"detector config {name}: the fast path wants a proposal head with sigmoid scores, "
            "found softmax; leave --fast out"
        )


def resize_as_cv2(frames_BHWC: Tensor, height: int, width: int) -> Tensor:
    """(B, height, width, C) uint8: OpenCV's bilinear resize, to the bit, on any device.

    OpenCV weighs with whole numbers of 1/2048 and drops bits on the way; at the left and right
    border it takes the last pixel, at the others both weights of the repeated row.
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
    """For each resized pixel the two that it is made of, int64, and their weights, int32."""
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
    """Non-maximum suppression inside each group (int64) of each image (int64, from 0).

    Returns:
        The rows that are left, image by image and there by falling score, and how many each image
        has, at most `most`.
    """
    if not len(boxes_M4):
        return image_M, [0] * num_images
    # As mmdet does: groups of an image lie beside each other, in float32.
    ends_B = boxes_M4.new_zeros(num_images)
    ends_B.scatter_reduce_(0, image_M, boxes_M4.amax(1), "amax", include_self=False)
    placed_M4 = boxes_M4 + (group_M.to(boxes_M4) * (ends_B[image_M] + 1))[:, None]
    if num_images > 1:  # images, too, in float64, which adds no rounding
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
    """(R, 5) float32 image index and x1 y1 x2 y2, image by image: what mmdet's proposal head finds
    in frames of one size, whose anchors `priors` are."""
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
    """As `heads.predict_boxes`, for frames of one size and proposals as `propose` has them."""
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
